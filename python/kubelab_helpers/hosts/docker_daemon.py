"""Docker's daemon.json merged: what kubelab wants is added, what the user wrote stays.

The rule for a conflict (the user's value differs from ours): it is reported and kept, because it was somebody's
decision and changing it can stop containers; `--change KEY` takes kubelab's value for that key. An option that the unit
gives on dockerd's command line is never written: dockerd refuses to start when both name it
(https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.docker import DAEMON_FILE

CGROUP_DRIVER = "native.cgroupdriver"
WANTED: dict[str, Any] = {
    # The kubelet's driver too: two that manage one tree take each other's limits away.
    "exec-opts": [f"{CGROUP_DRIVER}=systemd"],
    "log-driver": "json-file",
    "log-opts": {"max-size": "100m", "max-file": "3"},
    "live-restore": True,
    "insecure-registries": ["localhost:5000"],
}
FLAGS = {
    "exec-opts": ("--exec-opt",),
    "log-driver": ("--log-driver",),
    "log-opts": ("--log-opt",),
    "live-restore": ("--live-restore",),
    "insecure-registries": ("--insecure-registry",),
}


@dataclass(frozen=True)
class Conflict:
    """A key whose value on the host is not kubelab's."""

    key: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.key} is {self.found}, kubelab would have {self.wanted}"


@dataclass(frozen=True)
class Merged:
    """The file's text as it is to be; the keys `added` and `changed`, and what a person should see of it."""

    text: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    live_restore: bool = False


def merge_daemon(
    text: str | None, flags: Sequence[str] = (), change: Collection[str] = (), *, swarm: bool = False
) -> Merged:
    """Return daemon.json with kubelab's settings in it; the same text where nothing is missing.

    `flags` are dockerd's words, `change` the keys whose conflicts are settled for kubelab. BlockedError for a file that
    dockerd itself could not read; InvalidInputError for a key in `change` that kubelab does not set.
    """
    for key in change:
        if key not in WANTED:
            raise InvalidInputError(
                f"kubelab does not set {key} in daemon.json", next_step=f"one of: {', '.join(WANTED)}"
            )
    present = parse_daemon(text or "")
    _require_one_listener(present, flags)
    return _Merge(present, flags, frozenset(change), swarm).result(text)


def parse_daemon(text: str) -> dict[str, Any]:
    """Return the file's settings; BlockedError names the line and column where it is no JSON."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise BlockedError(
            f"{DAEMON_FILE} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}",
            next_step="mend it (JSON has no comments and no trailing commas), then run the same command again",
        ) from error
    if not isinstance(found, dict):
        raise BlockedError(f"{DAEMON_FILE} holds no JSON object", next_step="mend it, or move it away")
    for key, wanted in WANTED.items():
        if key in found and not isinstance(found[key], type(wanted)):
            kind = {list: "a list", dict: "an object", str: "a text", bool: "true or false"}[type(wanted)]
            raise BlockedError(f"{DAEMON_FILE}: {key} must be {kind}", next_step="mend it: dockerd does not start so")
    return found


def _require_one_listener(present: dict[str, Any], flags: Sequence[str]) -> None:
    given = [word for word in flags if word in {"-H", "--host"} or word.startswith(("-H=", "--host="))]
    if "hosts" in present and given:
        raise BlockedError(
            f"{DAEMON_FILE} has hosts, and the unit starts dockerd with {given[0]}: dockerd does not start with both",
            next_step="take one away: `systemctl edit docker` with an empty ExecStart= and one without -H, "
            "or remove hosts from the file",
        )


class _Merge:
    """One merging: the settings as they grow, and what is to be told."""

    def __init__(self, present: dict[str, Any], flags: Sequence[str], change: frozenset[str], swarm: bool) -> None:
        self._settings = json.loads(json.dumps(present))
        self._flags = flags
        self._change = change
        self._swarm = swarm
        self._added: list[str] = []
        self._changed: list[str] = []
        self._conflicts: list[Conflict] = []
        self._notes: list[str] = []

    def result(self, text: str | None) -> Merged:
        for key, wanted in WANTED.items():
            if self._may_stand(key):
                self._merge(key, wanted)
        differs = bool(self._added or self._changed)
        return Merged(
            json.dumps(self._settings, indent=2, ensure_ascii=False) + "\n" if differs or text is None else text,
            tuple(dict.fromkeys(self._added)),
            tuple(self._changed),
            tuple(self._conflicts),
            tuple(self._notes),
            live_restore=self._settings.get("live-restore") is True or "--live-restore" in self._flags,
        )

    def _may_stand(self, key: str) -> bool:
        given = [word for word in self._flags if word.split("=")[0] in FLAGS[key]]
        if given:
            self._notes.append(f"{key} is given to dockerd by its unit ({given[0]}), so that the file must not name it")
            return False
        if key == "live-restore" and self._swarm and key not in self._settings:
            self._notes.append("live-restore is left out: dockerd in a swarm does not start with it")
            return False
        if key == "log-opts" and self._log_driver() != WANTED["log-driver"]:
            self._notes.append(f"log rotation is left to the log driver {self._log_driver()}")
            return False
        return True

    def _log_driver(self) -> str:
        words = " ".join(self._flags).replace("=", " ").split()
        if "--log-driver" in words[:-1]:
            return words[words.index("--log-driver") + 1]
        return str(self._settings.get("log-driver", WANTED["log-driver"]))

    def _merge(self, key: str, wanted: Any) -> None:
        if isinstance(wanted, list):
            self._merge_list(key, wanted)
        elif isinstance(wanted, dict):
            for name, value in wanted.items():
                self._set(self._settings.setdefault(key, {}), name, value, key)
        else:
            self._set(self._settings, key, wanted, key)

    def _merge_list(self, key: str, wanted: list[str]) -> None:
        entries: list[str] = self._settings.setdefault(key, [])
        for entry in wanted:
            name = entry.partition("=")[0]
            rivals = [each for each in entries if "=" in entry and each.partition("=")[0] == name and each != entry]
            if rivals and key not in self._change:
                self._conflicts.append(Conflict(key, ", ".join(rivals), entry))
                continue
            if rivals:
                entries[:] = [each for each in entries if each not in rivals]
                self._changed.append(key)
            if entry not in entries:
                entries.append(entry)
                self._added.append(key)

    def _set(self, settings: dict[str, Any], name: str, value: Any, key: str) -> None:
        shown = key if name == key else f"{key}.{name}"
        if name not in settings:
            settings[name] = value
            self._added.append(key)
        elif settings[name] != value:
            if key in self._change:
                settings[name] = value
                self._changed.append(shown)
            else:
                self._conflicts.append(Conflict(shown, json.dumps(settings[name]), json.dumps(value)))
