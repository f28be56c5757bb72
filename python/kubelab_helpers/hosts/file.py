"""Files, programs, lines and directories on a host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from kubelab_helpers.hosts.change import Change, backup_path
from kubelab_helpers.hosts.command import Command, partial_path, upload, write_file
from kubelab_helpers.hosts.removal import remove_empty_directory
from kubelab_helpers.hosts.state import FileState, HostState

UNITS = "/etc/systemd/system/"

# The rename makes the file appear whole or not at all; a bind-mounted file (a container's /etc/hosts) cannot be
# replaced by rename (EBUSY), so it alone is rewritten in place. Without its backup nothing is touched.
_RESTORE = """set -eu
cp -p -- "$1" "$2.kubelab-partial"
mv -f -- "$2.kubelab-partial" "$2" 2>/dev/null || { cat "$2.kubelab-partial" > "$2"; rm -f "$2.kubelab-partial"; }
rm -f -- "$3"
"""
_ADD_LINE = """set -eu
if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then echo >> "$1"; fi
grep -qxF -- "$2" "$1" 2>/dev/null || printf '%s\\n' "$2" >> "$1"
"""
_REMOVE_LINE = """set -eu
[ -f "$1" ] || exit 0
kept=$(mktemp)
grep -vxF -- "$2" "$1" > "$kept" || true
cmp -s "$kept" "$1" || cat "$kept" > "$1"
rm -f "$kept"
"""
DAEMON_RELOAD = Command(("systemctl", "daemon-reload"))


def parents(path: str) -> tuple[str, ...]:
    """Return the directories above an absolute path, outermost first, without the root."""
    return tuple(str(each) for each in reversed(PurePosixPath(path).parents) if str(each) != "/")


@dataclass(frozen=True)
class File(Change):
    """A file with this content, mode and numeric owner `uid:gid`."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "0:0"

    @property
    def id(self) -> str:
        return f"file:{self.path}"

    @property
    def replaces(self) -> str:  # type: ignore[override]  # derived here, constant elsewhere
        return self.path

    @property
    def after(self) -> str:  # type: ignore[override]  # derived here, constant elsewhere
        return hashlib.sha256(self.content).hexdigest()

    @property
    def summary(self) -> str:
        return f"write {self.path} ({len(self.content)} bytes, mode {self.mode:o})"

    @property
    def watched(self) -> tuple[str, ...]:
        return _watched(self.path)

    def satisfied_by(self, state: HostState) -> bool:
        found = state.files.get(self.path)
        return found is not None and (found.sha256, found.mode, found.owner) == (
            self.after,
            f"{self.mode:o}",
            self.owner,
        )

    def refused_by(self, state: HostState) -> str | None:
        return _refusal(self.path, self.after, state)

    def operations(self) -> tuple[Command, ...]:
        return (write_file(self.path, self.content, self.mode, self.owner),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        return _put_back(self.path, state)

    def settle(self, state: HostState) -> tuple[Command, ...]:
        return (DAEMON_RELOAD,) if self.path.startswith(UNITS) else ()


@dataclass(frozen=True)
class Program(Change):
    """An executable copied from the artifact cache; `sha256` is the local file's."""

    path: str
    local: Path
    sha256: str
    mode: int = 0o755

    @property
    def id(self) -> str:
        return f"program:{self.path}"

    @property
    def replaces(self) -> str:  # type: ignore[override]  # derived here, constant elsewhere
        return self.path

    @property
    def after(self) -> str:  # type: ignore[override]  # derived here, constant elsewhere
        return self.sha256

    @property
    def summary(self) -> str:
        return f"install {self.path}"

    @property
    def watched(self) -> tuple[str, ...]:
        return _watched(self.path)

    def satisfied_by(self, state: HostState) -> bool:
        found = state.files.get(self.path)
        return found is not None and (found.sha256, found.mode) == (self.sha256, f"{self.mode:o}")

    def refused_by(self, state: HostState) -> str | None:
        return _refusal(self.path, self.sha256, state)

    def operations(self) -> tuple[Command, ...]:
        return (upload(self.local, self.path, self.mode),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        return _put_back(self.path, state)


@dataclass(frozen=True)
class NoFile(Change):
    """A file of others that is to be gone; a copy of it is kept, and a rollback puts it back."""

    path: str

    @property
    def id(self) -> str:
        return f"no-file:{self.path}"

    @property
    def replaces(self) -> str:  # type: ignore[override]  # derived here, constant elsewhere
        return self.path

    @property
    def summary(self) -> str:
        return f"set {self.path} aside"

    @property
    def watched(self) -> tuple[str, ...]:
        return _watched(self.path)

    def satisfied_by(self, state: HostState) -> bool:
        return self.path not in state.files

    def operations(self) -> tuple[Command, ...]:
        return (Command(("rm", "-f", "--", self.path)),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        return _put_back(self.path, state)


@dataclass(frozen=True)
class Line(Change):
    """A line in a file that others write too, such as /etc/hosts: added at its end, and only it is removed again."""

    path: str
    line: str

    @property
    def id(self) -> str:
        return f"line:{self.path}:{self.line}"

    @property
    def summary(self) -> str:
        return f"add to {self.path}: {self.line}"

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"line:{self.path}={self.line}",)

    def satisfied_by(self, state: HostState) -> bool:
        return (self.path, self.line) in state.lines

    def operations(self) -> tuple[Command, ...]:
        return (_add_line(self.path, self.line),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        if self.satisfied_by(state):
            return ()
        return (_remove_line(self.path, self.line),)


@dataclass(frozen=True)
class NoLine(Change):
    """A line of kubelab's that is to be gone from a file, such as the address of a control plane that was removed."""

    path: str
    line: str

    @property
    def id(self) -> str:
        return f"no-line:{self.path}:{self.line}"

    @property
    def summary(self) -> str:
        return f"remove from {self.path}: {self.line}"

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"line:{self.path}={self.line}",)

    def satisfied_by(self, state: HostState) -> bool:
        return (self.path, self.line) not in state.lines

    def operations(self) -> tuple[Command, ...]:
        return (_remove_line(self.path, self.line),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        return () if self.satisfied_by(state) else (_add_line(self.path, self.line),)


@dataclass(frozen=True)
class Directory(Change):
    """A directory with this mode and owner; what is in it is not looked at."""

    path: str
    mode: int = 0o755
    owner: str = "0:0"

    @property
    def id(self) -> str:
        return f"directory:{self.path}"

    @property
    def summary(self) -> str:
        return f"make directory {self.path} (mode {self.mode:o})"

    @property
    def watched(self) -> tuple[str, ...]:
        return _watched(self.path)

    def satisfied_by(self, state: HostState) -> bool:
        return state.files.get(self.path) == FileState("directory", f"{self.mode:o}", self.owner)

    def operations(self) -> tuple[Command, ...]:
        return (_make_directory(self.path, f"{self.mode:o}", self.owner),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        before = state.files.get(self.path)
        if before is None:
            return (remove_empty_directory(self.path),)
        return (_make_directory(self.path, before.mode, before.owner),)


def _add_line(path: str, line: str) -> Command:
    return Command(("sh", "-c", _ADD_LINE, "add-line", path, line))


def _remove_line(path: str, line: str) -> Command:
    return Command(("sh", "-c", _REMOVE_LINE, "remove-line", path, line))


def _make_directory(path: str, mode: str, owner: str) -> Command:
    uid, _, gid = owner.partition(":")
    return Command(("install", "-d", "-m", mode, "-o", uid, "-g", gid, path))


def _watched(path: str) -> tuple[str, ...]:
    return (*(f"file:{each}" for each in parents(path)), f"file:{path}")


def _put_back(path: str, state: HostState) -> tuple[Command, ...]:
    before = state.files.get(path)
    if before is None:
        return (Command(("rm", "-f", "--", path, partial_path(path))),)
    backup = backup_path(path, before.sha256)
    return (Command(("sh", "-c", _RESTORE, "restore", backup, path, partial_path(path))),)


def _refusal(path: str, wanted: str, state: HostState) -> str | None:
    found = state.files.get(path)
    if found is None:
        return None
    if found.sha256 == "directory":
        return f"{path} is a directory"
    written = state.written.get(path)
    if written is not None and found.sha256 not in (written, wanted):
        return f"{path} was changed by someone else after kubelab wrote it"
    return None
