"""What kubelab can change on a host: each kind is data that says when it is already so, and which commands make it so.

Nothing here runs anything: the executor (`hosts.executor`) is the only writer.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from kubelab_helpers.hosts.command import Command, upload, write_file
from kubelab_helpers.hosts.state import FileState, HostState

STAMPS = "/var/lib/kubelab/stamps"


class Change(ABC):
    """One thing to be so on a host."""

    replaces: str | None = None
    """The file that the change overwrites, to be backed up first."""
    stamped: bool = False
    """Whether its last act is a stamp on the host, which then says more than the journal: it must not be made twice."""

    @property
    @abstractmethod
    def id(self) -> str:
        """A name that stays the same between runs; the journal's key."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line for a plan, without secrets."""

    @property
    def watched(self) -> tuple[str, ...]:
        """What the state probe must look at to answer `satisfied_by`."""
        return ()

    @abstractmethod
    def satisfied_by(self, state: HostState) -> bool:
        """Whether the host is already so."""

    @abstractmethod
    def operations(self) -> tuple[Command, ...]:
        """The commands that make it so; each may be run again after a crash."""

    def refused_by(self, state: HostState) -> str | None:  # noqa: ARG002 — what kinds with a guard look at
        """Why the change must not be made on this host, or None."""
        return None


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
    def summary(self) -> str:
        return f"write {self.path} ({len(self.content)} bytes, mode {self.mode:o})"

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"file:{self.path}",)

    def satisfied_by(self, state: HostState) -> bool:
        found = state.files.get(self.path)
        wanted = (hashlib.sha256(self.content).hexdigest(), f"{self.mode:o}", self.owner)
        return found is not None and (found.sha256, found.mode, found.owner) == wanted

    def refused_by(self, state: HostState) -> str | None:
        return _directory_in_the_way(self.path, state)

    def operations(self) -> tuple[Command, ...]:
        return (write_file(self.path, self.content, self.mode, self.owner),)


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
    def summary(self) -> str:
        return f"install {self.path}"

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"file:{self.path}",)

    def satisfied_by(self, state: HostState) -> bool:
        found = state.files.get(self.path)
        return found is not None and (found.sha256, found.mode) == (self.sha256, f"{self.mode:o}")

    def refused_by(self, state: HostState) -> str | None:
        return _directory_in_the_way(self.path, state)

    def operations(self) -> tuple[Command, ...]:
        return (upload(self.local, self.path, self.mode),)


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
        return (f"file:{self.path}",)

    def satisfied_by(self, state: HostState) -> bool:
        return state.files.get(self.path) == FileState("directory", f"{self.mode:o}", self.owner)

    def operations(self) -> tuple[Command, ...]:
        uid, _, gid = self.owner.partition(":")
        return (Command(("install", "-d", "-m", f"{self.mode:o}", "-o", uid, "-g", gid, self.path)),)


@dataclass(frozen=True)
class Sysctl(Change):
    """A kernel setting as it is now; the file that keeps it over a restart is a File of its own."""

    key: str
    value: str

    @property
    def id(self) -> str:
        return f"sysctl:{self.key}"

    @property
    def summary(self) -> str:
        return f"set {self.key} = {self.value}"

    @property
    def watched(self) -> tuple[str, ...]:
        return (self.id,)

    def satisfied_by(self, state: HostState) -> bool:
        return state.sysctls.get(self.key) == self.value

    def operations(self) -> tuple[Command, ...]:
        path = "/proc/sys/" + self.key.replace(".", "/")
        return (Command(("sh", "-c", 'printf %s "$2" > "$1"', "sysctl", path, self.value)),)


@dataclass(frozen=True)
class Unit(Change):
    """A systemd unit, enabled, and running with the configuration that `stamp` names.

    The stamp is a hash of every file that the unit reads at its start. It is written after the restart, so that a
    change cut off between the two is made again. Without `start` someone else starts it the first time (kubeadm).
    """

    stamped = True
    name: str
    stamp: str
    start: bool = True

    @property
    def id(self) -> str:
        return f"unit:{self.name}"

    @property
    def summary(self) -> str:
        return f"enable {self.name}" + (" and (re)start it" if self.start else "")

    @property
    def watched(self) -> tuple[str, ...]:
        return (self.id, f"stamp:unit-{self.name}")

    def satisfied_by(self, state: HostState) -> bool:
        active, enabled = state.units.get(self.name, ("", ""))
        running = active in {"active", "activating"} or not self.start
        return running and enabled == "enabled" and state.stamps.get(f"unit-{self.name}") == self.stamp

    def operations(self) -> tuple[Command, ...]:
        return (
            Command(("systemctl", "daemon-reload")),
            Command(("systemctl", "enable", self.name)),
            Command(("systemctl", "restart" if self.start else "try-restart", self.name)),
            write_stamp(f"unit-{self.name}", self.stamp),
        )


@dataclass(frozen=True)
class Image(Change):
    """A container image in containerd's k8s.io namespace, pinned so that kubelet's garbage collection keeps it."""

    reference: str
    digest: str
    archive: Path

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def summary(self) -> str:
        return f"import image {self.reference}"

    @property
    def watched(self) -> tuple[str, ...]:
        return ("images:",)

    def satisfied_by(self, state: HostState) -> bool:
        return state.images.get(self.reference) == self.digest

    def operations(self) -> tuple[Command, ...]:
        ctr = ("ctr", "--namespace", "k8s.io", "images")
        return (
            Command((*ctr, "import", "-"), stdin_path=self.archive),
            Command((*ctr, "label", self.reference, "io.cri-containerd.pinned=pinned")),
        )


@dataclass(frozen=True)
class Correction(Change):
    """Something that the facts showed to be wrong, so that it is missing whenever it is desired at all."""

    name: str
    text: str
    commands: tuple[Command, ...] = field(repr=False)

    @property
    def id(self) -> str:
        return f"correction:{self.name}"

    @property
    def summary(self) -> str:
        return self.text

    def satisfied_by(self, state: HostState) -> bool:  # noqa: ARG002 — decided from the facts already
        return False

    def operations(self) -> tuple[Command, ...]:
        return self.commands


@dataclass(frozen=True)
class Action(Change):
    """Commands whose effect a stamp records: made again when `stamp` differs from the host's.

    With `guard`, a path that is there although no stamp and no journal line of ours says so, the action is refused:
    it is someone else's.
    """

    stamped = True
    name: str
    text: str
    stamp: str
    commands: tuple[Command, ...] = field(repr=False)
    guard: str | None = None

    @property
    def id(self) -> str:
        return f"action:{self.name}"

    @property
    def summary(self) -> str:
        return self.text

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"stamp:{self.name}", *((f"file:{self.guard}",) if self.guard else ()))

    def satisfied_by(self, state: HostState) -> bool:
        return state.stamps.get(self.name) == self.stamp

    def refused_by(self, state: HostState) -> str | None:
        ours = self.name in state.stamps or self.id in state.unfinished
        if self.guard and self.guard in state.files and not ours:
            return f"{self.guard} is there already and kubelab did not make it"
        return None

    def operations(self) -> tuple[Command, ...]:
        return (*self.commands, write_stamp(self.name, self.stamp))


def write_stamp(name: str, value: str) -> Command:
    """Return the command that records a stamp on the host."""
    return write_file(f"{STAMPS}/{name}", value.encode(), 0o644)


def stamp_of(*parts: bytes | str) -> str:
    """Return a short hash of everything that decides a stamp."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:32]


def _directory_in_the_way(path: str, state: HostState) -> str | None:
    found = state.files.get(path)
    return f"{path} is a directory" if found and found.sha256 == "directory" else None
