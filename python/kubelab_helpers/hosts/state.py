"""How the things that kubelab looks after stand on a host, read in one go."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

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
    """The watched things of a host, and the ids of changes that were begun and never ended."""

    files: dict[str, FileState] = field(default_factory=dict)
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()


def probe_state(runner: Runner, watched: Iterable[str]) -> HostState:
    """Read how the watched things stand, in one round trip.

    They are named `file:/path`, `unit:name`, `sysctl:key`, `stamp:name` and `images:`.
    """
    return parse_state(runner.check(probe_command("state", *sorted(set(watched)))).text)


def parse_state(text: str) -> HostState:
    """Return the state of one probe's output."""
    state = HostState()
    journal: list[str] = []
    for line in text.splitlines():
        kind, name, first, second = [*line.split("\t"), "", "", ""][:4]
        match kind:
            case "file":
                mode, _, owner = second.partition(" ")
                state.files[name] = FileState(first, mode, owner)
            case "unit":
                state.units[name] = (first, second)
            case "sysctl":
                state.sysctls[name] = first
            case "stamp":
                state.stamps[name] = first
            case "image":
                state.images[name] = first
            case "journal":
                journal.append(name)
    return HostState(state.files, state.units, state.sysctls, state.stamps, state.images, unfinished_changes(journal))


def unfinished_changes(lines: Iterable[str]) -> frozenset[str]:
    """Return the ids of changes whose last journal line is an intent. A line cut off by a crash is passed over."""
    last: dict[str, str] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            last[entry["change"]] = entry["event"]
        except (ValueError, KeyError, TypeError):
            continue
    return frozenset(change for change, event in last.items() if event == "intent")
