"""A host made as it was before kubelab: everything in its ledger is put back, and nothing else is touched."""

from __future__ import annotations

from dataclasses import dataclass

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.ledger import Ledger
from kubelab_helpers.hosts.removal import remove_tree
from kubelab_helpers.hosts.rollback import Rollback, apply_rollback, read_rollback
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.state import HostState, probe_state
from kubelab_helpers.hosts.steps.system import VOLUMES
from kubelab_helpers.result import Reporter

FOREIGN_CLUSTER = "/etc/kubernetes/kubelet.conf"


@dataclass(frozen=True)
class Run:
    """One command that changed the host: how many of its changes stand, and whether it came to its end."""

    id: str
    time: str
    command: str
    changes: int
    ended: bool


def read_reset(runner: Runner, host: str, *, keep_changed: bool = False) -> Rollback:
    """Read the ledger and decide what a reset puts back; BlockedError for a cluster that kubelab did not make."""
    decided = read_rollback(runner, host, everything=True, keep_changed=keep_changed)
    if not decided.entries and FOREIGN_CLUSTER in probe_state(runner, [f"file:{FOREIGN_CLUSTER}"]).files:
        raise BlockedError(
            f"{host}: {FOREIGN_CLUSTER} is there and kubelab did not make it",
            next_step="a cluster that another tool made is reset with that tool",
        )
    return decided


def reset_host(
    runner: Runner, host: str, reporter: Reporter, *, keep_changed: bool = False, delete_homes: bool = False
) -> int:
    """Put everything back and return how many changes that were; the users' homes stay unless they are to go too."""
    decided = read_reset(runner, host, keep_changed=keep_changed)
    made = apply_rollback(runner, decided, reporter, f"reset {host}")
    if delete_homes:
        runner.check(remove_tree(VOLUMES))
    return made


def list_runs(ledger: Ledger) -> list[Run]:
    """Return the runs of a host, oldest first; of a run that was rolled back no change stands."""
    counts: dict[str, int] = {}
    for entry in ledger.entries:
        counts[entry.run] = counts.get(entry.run, 0) + 1
    return [
        Run(name, time, command, counts.get(name, 0), ended=name != ledger.open_run)
        for name, time, command in ledger.runs
    ]


def find_changed(state: HostState) -> list[str]:
    """Return the files of ours that someone else changed or removed since; `state` must have them watched."""
    return sorted(
        path
        for path, written in state.written.items()
        if (found := state.files.get(path)) is None or found.sha256 != written
    )
