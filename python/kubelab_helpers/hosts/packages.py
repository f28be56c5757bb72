"""Packages that a node needs, put on a host and taken off again."""

from __future__ import annotations

from dataclasses import dataclass

from kubelab_helpers.hosts.change import DIRECTORY, Change
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.docker_packages import MOST_RECORDS, script
from kubelab_helpers.hosts.state import HostState

RECORD = f"{DIRECTORY}/packages/node"


@dataclass(frozen=True)
class Packages(Change):
    """Packages of the distribution, whose programs the facts showed to be missing.

    The host keeps the list of all its packages before and after, so that a rollback removes what came with them too,
    and nothing that was there; it is refused, with the reason, when something else has come to need one of them.
    """

    family: str
    refresh: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def id(self) -> str:
        return "packages:node"

    @property
    def summary(self) -> str:
        return f"install packages {', '.join(self.names)}"

    @property
    def watched(self) -> tuple[str, ...]:
        return tuple(f"file:{_record(number)}" for number in range(1, MOST_RECORDS))

    def satisfied_by(self, state: HostState) -> bool:
        return False  # decided from the facts: it is desired only while a program is missing

    def operations(self) -> tuple[Command, ...]:
        return (Command(self.refresh), script("packages", "install", self.family, RECORD, *self.names))

    def undo(self, state: HostState) -> tuple[Command, ...]:
        # Each transaction has a number of its own, so that taking back one that never began takes back no earlier one.
        number = next((each for each in range(1, MOST_RECORDS) if _record(each) not in state.files), MOST_RECORDS)
        return (script("packages", "undo", self.family, RECORD, str(number)),)


def _record(number: int) -> str:
    return f"{RECORD}.{number}.after"
