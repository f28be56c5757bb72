"""systemd units on a host."""

from __future__ import annotations

from dataclasses import dataclass

from kubelab_helpers.hosts.change import Change, restore_stamp, write_stamp
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import DAEMON_RELOAD
from kubelab_helpers.hosts.removal import remove_tree
from kubelab_helpers.hosts.state import HostState

# A unit whose file is gone already is neither to be stopped nor to be disabled.
_IF_KNOWN = 'systemctl cat "$2" >/dev/null 2>&1 || exit 0; exec systemctl "$1" "$2"'


@dataclass(frozen=True)
class Unit(Change):
    """A systemd unit, enabled, and running with the configuration that `stamp` names.

    The stamp is a hash of every file that the unit reads at its start. It is written after the restart, so that a
    change cut off between the two is made again. Without `start` someone else starts it the first time (kubeadm).
    `data` names directories that the unit makes as it runs: a rollback to before it removes those that were not there.
    """

    stamped = True
    name: str
    stamp: str
    start: bool = True
    data: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"unit:{self.name}"

    @property
    def summary(self) -> str:
        return f"enable {self.name}" + (" and (re)start it" if self.start else "")

    @property
    def watched(self) -> tuple[str, ...]:
        return (self.id, f"stamp:unit-{self.name}", *(f"file:{path}" for path in self.data))

    def satisfied_by(self, state: HostState) -> bool:
        active, enabled = state.units.get(self.name, ("", ""))
        running = active in {"active", "activating"} or not self.start
        return running and enabled == "enabled" and state.stamps.get(f"unit-{self.name}") == self.stamp

    def operations(self) -> tuple[Command, ...]:
        return (
            DAEMON_RELOAD,
            Command(("systemctl", "enable", self.name)),
            Command(("systemctl", "restart" if self.start else "try-restart", self.name)),
            write_stamp(f"unit-{self.name}", self.stamp),
        )

    def undo(self, state: HostState) -> tuple[Command, ...]:
        active, enabled = state.units.get(self.name, ("", ""))
        commands = [] if active == "active" else [_if_known("stop", self.name)]
        commands += [] if enabled == "enabled" else [_if_known("disable", self.name)]
        commands += [remove_tree(path) for path in self.data if path not in state.files]
        return (*commands, restore_stamp(f"unit-{self.name}", state))

    def settle(self, state: HostState) -> tuple[Command, ...]:
        active, _ = state.units.get(self.name, ("", ""))
        if active != "active":
            return (DAEMON_RELOAD,)
        # It ran before, with the configuration that is back by now.
        return (DAEMON_RELOAD, _if_known("restart", self.name))


def _if_known(verb: str, name: str) -> Command:
    return Command(("sh", "-c", _IF_KNOWN, verb, verb, name))
