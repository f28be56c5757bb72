"""What kubelab can change on a host: each kind is data.

It says when it is already so, which commands make it so, and which put it back.
Nothing here runs anything: the executor (`hosts.executor`) and the rollback (`hosts.rollback`) are the only writers.
The kinds: `hosts.file`, `hosts.kernel`, `hosts.service`, `hosts.image`, `hosts.packages`, and here the two that are
only commands.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from kubelab_helpers.hosts.command import Command, write_file
from kubelab_helpers.hosts.state import HostState

DIRECTORY = "/var/lib/kubelab"
STAMPS = f"{DIRECTORY}/stamps"
BACKUPS = f"{DIRECTORY}/backups"


class Change(ABC):
    """One thing to be so on a host."""

    replaces: str | None = None
    """The file that the change overwrites, to be backed up first."""
    after: str | None = None
    """The SHA-256 of that file once the change is made; it tells a later run whether someone else has changed it."""
    stamped: bool = False
    """Whether its last act is a stamp on the host, which then says more than the journal: it must not be made twice."""

    one_way: bool = False
    """Whether its run cannot be rolled back; only a reset passes it, which takes the host out of its cluster."""

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
        """What the state probe must look at to answer `satisfied_by` and `undo`."""
        return ()

    @abstractmethod
    def satisfied_by(self, state: HostState) -> bool:
        """Whether the host is already so."""

    @abstractmethod
    def operations(self) -> tuple[Command, ...]:
        """The commands that make it so; each may be run again after a crash."""

    def recover(self) -> tuple[Command, ...]:
        """Return the commands to run first when an earlier making was cut off: they clear the half."""
        return ()

    def undo(self, state: HostState) -> tuple[Command, ...]:
        """Return the commands that put the host back as `state`, read before the change, shows it.

        They stand in the journal, so that a rollback needs neither this plan nor this version of kubelab: no secrets,
        and each may be run again. Empty when there is nothing to put back.
        """
        return ()

    def settle(self, state: HostState) -> tuple[Command, ...]:
        """Return the commands to run once when a rollback has put everything else back, such as restarting a unit."""
        return ()

    def refused_by(self, state: HostState) -> str | None:
        """Why the change must not be made on this host, or None."""
        return None


@dataclass(frozen=True)
class Correction(Change):
    """Something that the facts showed to be wrong, so that it is missing whenever it is desired at all."""

    name: str
    text: str
    commands: tuple[Command, ...] = field(repr=False)
    undo_commands: tuple[Command, ...] = field(default=(), repr=False)

    @property
    def id(self) -> str:
        return f"correction:{self.name}"

    @property
    def summary(self) -> str:
        return self.text

    def satisfied_by(self, state: HostState) -> bool:
        return False

    def operations(self) -> tuple[Command, ...]:
        return self.commands

    def undo(self, state: HostState) -> tuple[Command, ...]:
        return self.undo_commands


@dataclass(frozen=True)
class Action(Change):
    """Commands whose effect a stamp records: made again when `stamp` differs from the host's.

    When one of the paths `guards` is there although no stamp and no journal line of ours says so, or by a stamp of
    another value, the action is refused: it is someone else's. `undo_commands` take back what the first making of it
    did, and `recover_commands` what a cut-off one did.
    """

    stamped = True
    name: str
    text: str
    stamp: str
    commands: tuple[Command, ...] = field(repr=False)
    guards: tuple[str, ...] = ()
    undo_commands: tuple[Command, ...] = field(default=(), repr=False)
    recover_commands: tuple[Command, ...] = field(default=(), repr=False)
    one_way: bool = False

    @property
    def id(self) -> str:
        return f"action:{self.name}"

    @property
    def summary(self) -> str:
        return self.text

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"stamp:{self.name}", *(f"file:{path}" for path in self.guards))

    def satisfied_by(self, state: HostState) -> bool:
        return state.stamps.get(self.name) == self.stamp

    def refused_by(self, state: HostState) -> str | None:
        found = [path for path in self.guards if path in state.files]
        if not found:
            return None
        stamp = state.stamps.get(self.name)
        if stamp is not None:
            return None if stamp == self.stamp else f"this host belongs to {stamp}, not to {self.stamp}"
        return None if self.id in state.unfinished else f"{found[0]} is there already and kubelab did not make it"

    def recover(self) -> tuple[Command, ...]:
        return self.recover_commands

    def operations(self) -> tuple[Command, ...]:
        return (*self.commands, write_stamp(self.name, self.stamp))

    def undo(self, state: HostState) -> tuple[Command, ...]:
        first = self.name not in state.stamps
        return (*(self.undo_commands if first else ()), restore_stamp(self.name, state))


def write_stamp(name: str, value: str) -> Command:
    """Return the command that records a stamp on the host."""
    return write_file(f"{STAMPS}/{name}", value.encode(), 0o644)


def restore_stamp(name: str, state: HostState) -> Command:
    """Return the command that makes a stamp what it was."""
    before = state.stamps.get(name)
    return Command(("rm", "-f", f"{STAMPS}/{name}")) if before is None else write_stamp(name, before)


def backup_path(path: str, sha256: str) -> str:
    """Return where the host keeps a copy of a file that was replaced, named by the file and its content."""
    return f"{BACKUPS}/{hashlib.sha256(path.encode()).hexdigest()[:16]}-{sha256[:16]}"


def stamp_of(*parts: bytes | str) -> str:
    """Return a short hash of everything that decides a stamp."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:32]
