"""Every failure kubelab reports: what failed, how to repeat it, what to do next.

The exit statuses are a contract that scripts rely on (design, section 5).
"""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    BLOCKED = 3
    PARTLY_DONE = 4


class KubelabError(Exception):
    """A failure that is told to the user in three parts, without a traceback.

    `what` failed; `repeat` is the exact command that shows it again, if there is one; `next_step` is the remedy.
    """

    exit_status = ExitStatus.FAILED

    def __init__(self, what: str, *, next_step: str = "", repeat: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.repeat = repeat


class InvalidInputError(KubelabError):
    """The user's input is wrong; nothing was touched."""

    exit_status = ExitStatus.INVALID


class BlockedError(KubelabError):
    """A precondition is not met; nothing was touched."""

    exit_status = ExitStatus.BLOCKED


class PartlyDoneError(KubelabError):
    """Some of the work is done and recorded; the same command goes on from there."""

    exit_status = ExitStatus.PARTLY_DONE
