"""How the things that kubelab looks after stand on a host, read in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubelab_helpers.hosts.ledger import Ledger, read_ledger, written_files
from kubelab_helpers.hosts.probe import probe_command
from kubelab_helpers.hosts.runner import Runner


@dataclass(frozen=True)
class FileState:
    """A file's SHA-256 (or `directory`), its octal mode and its numeric owner `uid:gid`."""

    sha256: str
    mode: str
    owner: str


@dataclass(frozen=True)
class HostState:
    """The watched things of a host, and what its journal says of kubelab's changes there."""

    files: dict[str, FileState] = field(default_factory=dict)
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Each unit's `systemctl is-active` and `is-enabled`."""
    sysctls: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    lines: frozenset[tuple[str, str]] = frozenset()
    modules: frozenset[str] = frozenset()
    swaps: tuple[str, ...] = ()
    """Devices in use, and `fstab` when /etc/fstab would use one after a restart."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of installed packages, by name."""
    held: frozenset[str] = frozenset()
    """Packages whose version is held."""
    unfinished: frozenset[str] = frozenset()
    """Ids of changes that were begun, or begun to be put back, and never ended."""
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def written(self) -> dict[str, str]:
        """By path, the hash that a file of ours has, unless someone else changed it since."""
        return written_files(self.ledger.entries)


def probe_state(runner: Runner, watched: Iterable[str]) -> HostState:
    """Read how the watched things stand, in one round trip.

    They are named `file:/path`, `unit:name`, `sysctl:key`, `stamp:name`, `images:`, `line:/path=text`, `module:name`,
    `swap:`, `package:name` and `held:name`. The journal is always read.
    """
    return parse_state(runner.check(probe_command("state", *sorted(set(watched)))).text)


def parse_state(text: str) -> HostState:
    """Return the state of one probe's output: `kind<TAB>name<TAB>value<TAB>value` lines."""
    seen: dict[str, list[tuple[str, str, str]]] = {}
    journal: list[str] = []
    for line in text.splitlines():
        kind, name, first, second = [*line.split("\t"), "", "", ""][:4]
        if kind == "journal":
            journal.append(line.partition("\t")[2])
        else:
            seen.setdefault(kind, []).append((name, first, second))
    files = {name: FileState(digest, *_mode_and_owner(rest)) for name, digest, rest in seen.get("file", ())}
    ledger = read_ledger(journal)
    return HostState(
        files=files,
        units={name: (active, enabled) for name, active, enabled in seen.get("unit", ())},
        sysctls={name: value for name, value, _ in seen.get("sysctl", ())},
        stamps={name: value for name, value, _ in seen.get("stamp", ())},
        images={name: value for name, value, _ in seen.get("image", ())},
        lines=frozenset((path, text) for path, text, _ in seen.get("line", ())),
        modules=frozenset(name for name, _, _ in seen.get("module", ())),
        swaps=tuple(name for name, _, _ in seen.get("swap", ())),
        packages={name: value for name, value, _ in seen.get("package", ())},
        held=frozenset(name for name, _, _ in seen.get("held", ())),
        unfinished=ledger.unfinished,
        ledger=ledger,
    )


def _mode_and_owner(text: str) -> tuple[str, str]:
    mode, _, owner = text.partition(" ")
    return mode, owner
