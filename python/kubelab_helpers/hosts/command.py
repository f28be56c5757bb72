"""A command as data: an argv, what it reads, and what of it must never be shown."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from kubelab_helpers.errors import KubelabError

# The rename makes the file appear whole or not at all. A bind-mounted file (a container's /etc/hosts) cannot be
# replaced by rename (EBUSY), so it alone is rewritten in place.
WRITE_FILE = """set -eu
mkdir -p -- "$(dirname -- "$1")"
partial="$(dirname -- "$1")/.$(basename -- "$1").kubelab-partial"
# Not even for a moment may others read it: it can be a secret.
rm -f -- "$partial"
(umask 077; cat > "$partial") || { rm -f "$partial"; exit 1; }
# A connection that breaks looks like the end of the input: half a file must not take the place of a whole one.
[ "$(wc -c < "$partial")" -eq "$4" ] || { rm -f "$partial"; echo "$1: the input ended early" >&2; exit 1; }
chmod "$2" "$partial"
chown "$3" "$partial"
mv -f -- "$partial" "$1" 2>/dev/null || { cat "$partial" > "$1"; rm -f "$partial"; }
"""


@dataclass(frozen=True)
class Command:
    """One program call. Secrets travel on `stdin` only; `secrets` lists texts to blank out of its output."""

    argv: tuple[str, ...]
    stdin: bytes | None = field(default=None, repr=False)
    stdin_path: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout_seconds: float = 600.0
    env: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None
    once: bool = False
    """Whether a runner that lost its connection must not send it again: the half it left is to be cleared first."""

    def __str__(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.argv)

    def redact(self, text: str) -> str:
        """Return `text` without this command's secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***") if secret else text
        return text


def write_file(path: str, content: bytes, mode: int, owner: str = "0:0") -> Command:
    """Return the command that puts `content` at an absolute path, with its mode and numeric owner."""
    return Command(("sh", "-c", WRITE_FILE, "write-file", path, f"{mode:o}", owner, str(len(content))), stdin=content)


def partial_path(path: str) -> str:
    """Return where a file's content stands while it is written; a host that loses its power then leaves it there."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}.kubelab-partial"


def upload(local: Path, path: str, mode: int) -> Command:
    """Return the command that puts a local file at an absolute path, owned by root."""
    argv = ("sh", "-c", WRITE_FILE, "write-file", path, f"{mode:o}", "0:0", str(local.stat().st_size))
    return Command(argv, stdin_path=local)


@dataclass(frozen=True)
class Completed:
    """How a command ended: its exit status and what it wrote."""

    command: Command
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        """Standard error as text, without secrets."""
        return self.command.redact(self.stderr.decode(errors="replace"))


class CommandError(KubelabError):
    """A command ended with a status other than 0."""

    def __init__(self, completed: Completed, where: str) -> None:
        tail = "\n".join((completed.error_text or completed.command.redact(completed.text)).strip().splitlines()[-15:])
        shown = completed.command.redact(str(completed.command))
        super().__init__(f"on {where}, `{shown}` ended with status {completed.status}\n{tail}".rstrip(), repeat=shown)
        self.completed = completed


class CommandTimeoutError(KubelabError):
    """A command did not end within its deadline."""

    def __init__(self, command: Command, where: str) -> None:
        shown = command.redact(str(command))
        super().__init__(f"on {where}, `{shown}` did not end within {command.timeout_seconds:g} s", repeat=shown)
