"""`kubelab-host status`, `rollback` and `reset`: what kubelab did to this host, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubelab_helpers.cli.options import Output, OutputOption

if TYPE_CHECKING:
    from kubelab_helpers.hosts.rollback import Rollback
    from kubelab_helpers.hosts.runner import Runner

KeepChangedOption = Annotated[
    bool, typer.Option("--keep-changed", help="Leave the files that someone else changed as they are.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be put back, and do nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Yes, take it away.")]


def status(output: OutputOption = Output.TEXT) -> None:
    """Show what kubelab did to this host: its runs, and the files of ours that someone else changed since.

    Example: kubelab-host status -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.hosts.reset import find_changed, list_runs
    from kubelab_helpers.hosts.state import probe_state

    runner = _this_host()
    ledger = probe_state(runner, ()).ledger
    paths = sorted({f"file:{entry.path}" for entry in ledger.entries if entry.path})
    state = probe_state(runner, [*paths, "unit:containerd", "unit:kubelet"])
    runs, changed = list_runs(ledger), find_changed(state)
    if output is Output.JSON:
        units = {name: active for name, (active, _) in state.units.items()}
        render.print_json({"runs": [vars(each) for each in runs], "changed": changed, "units": units})
        return
    rows = [
        [each.id, each.time, each.command, str(each.changes), "" if each.ended else "not ended: the next run goes on"]
        for each in runs
    ]
    render.print_table(("run", "began", "command", "changes that stand", ""), rows)
    for path in changed:
        render.print_text(f"changed by someone else: {path}")


def rollback(
    run: Annotated[
        str | None, typer.Argument(help="The run to take back, by the start of its id; else the last.")
    ] = None,
    yes: YesOption = False,
    keep_changed: KeepChangedOption = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take back what the last run changed on this host, newest first.

    Example: kubelab-host rollback --dry-run
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.hosts.rollback import apply_rollback, read_rollback

    runner = _this_host()
    decided = read_rollback(runner, runner.name, run, keep_changed=keep_changed)
    if dry_run:
        _print(decided, output, done=False)
        return
    _require(yes, "kubelab-host rollback")
    _leave_cluster(runner, decided)
    with render.ProgressReporter() as reporter:
        apply_rollback(runner, decided, reporter, "rollback")
    _print(decided, output, done=True)


def reset(
    yes: YesOption = False,
    keep_changed: KeepChangedOption = False,
    delete_homes: Annotated[bool, typer.Option("--delete-homes", help="Remove the users' homes too.")] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make this host as it was before kubelab: what is in its ledger is put back, and nothing else is touched.

    A cluster's certificates, keys and data are kept in an archive under /var/lib/kubelab/backups first.

    Example: kubelab-host reset --yes
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.hosts.reset import read_reset, reset_host

    runner = _this_host()
    decided = read_reset(runner, runner.name, keep_changed=keep_changed)
    if dry_run:
        _print(decided, output, done=False)
        return
    _require(yes, "kubelab-host reset")
    _leave_cluster(runner, decided)
    with render.ProgressReporter() as reporter:
        reset_host(runner, runner.name, reporter, keep_changed=keep_changed, delete_homes=delete_homes)
    _print(decided, output, done=True)


def _this_host() -> Runner:
    import socket

    from kubelab_helpers.hosts.runner import LocalRunner

    return LocalRunner(socket.gethostname())


def _leave_cluster(runner: Runner, decided: Rollback) -> None:
    """Tell the other control planes before a host stops being one."""
    from kubelab_helpers.cluster.etcd import leave_etcd

    if {"action:kubeadm-init", "action:kubeadm-join"} & {entry.change for entry in decided.entries}:
        leave_etcd(runner)


def _require(yes: bool, command: str) -> None:
    from kubelab_helpers.errors import InvalidInputError

    if not yes:
        raise InvalidInputError(
            f"{command} takes away what runs on this host",
            next_step=f"see what it would do with `{command} --dry-run`, then `{command} --yes`",
        )


def _print(decided: Rollback, output: Output, *, done: bool) -> None:
    from kubelab_helpers.cli import render

    data: dict[str, Any] = decided.as_data()
    if output is Output.JSON:
        render.print_json({"done": done, **data})
        return
    if not decided.entries:
        render.print_text("There is nothing to put back.")
    else:
        rows = [[entry["step"], entry["summary"]] for entry in data["entries"]]
        render.print_table(("step", "put back" if done else "would put back"), rows)
    for path in decided.kept:
        render.print_text(f"left as it is, changed by someone else: {path}")
