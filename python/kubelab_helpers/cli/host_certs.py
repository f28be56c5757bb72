"""`kubelab-host certs` and `kubelab-host snapshot`: this node's certificates and etcd's snapshots."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelab_helpers.cli.options import Output, OutputOption, YesOption

certs = typer.Typer(
    help="This node's certificates: the days each has left, and renewed now.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
snapshots = typer.Typer(
    help="Snapshots of etcd on this control plane: enable, create, list, restore.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@certs.callback()
def show_certificates(context: typer.Context, output: OutputOption = Output.TEXT) -> None:
    """Show this node's certificates and the days each has left; nothing is written. Exit status 3: one is expired.

    Example: kubelab-host certs -o json
    """
    if context.invoked_subcommand:
        return
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.certificates import find_expired, now, read_certificates
    from kubelab_helpers.errors import BlockedError
    from kubelab_helpers.hosts.runner import LocalRunner

    found, today = read_certificates(LocalRunner()), now()
    if output is Output.JSON:
        rows = [{**vars(each), "expires": each.expires.isoformat(), "days": each.days_left(today)} for each in found]
        render.print_json({"certificates": rows})
    elif not found:
        render.print_text("This host is no node of a cluster: it has no certificates.")
    else:
        columns = ("days left", "expires", "certificate", "of")
        table = [[str(c.days_left(today)), f"{c.expires:%Y-%m-%d %H:%M}", c.path, c.subject] for c in found]
        render.print_table(columns, table)
    if expired := find_expired(found, today):
        raise BlockedError(
            f"expired: {', '.join(each.path for each in expired)}",
            next_step="`kubelab-host certs renew` on a control plane; kubelet renews its own while it runs",
        )


@certs.command()
def renew(
    below: Annotated[
        int | None, typer.Option("--below", min=1, help="Only if one of them has fewer days left than this.")
    ] = None,
) -> None:
    """Renew this control plane's certificates now; a timer does it when fewer than 60 days are left.

    etcd and the API server start anew: without another control plane the API is away for some seconds.

    Example: kubelab-host certs renew --below 90
    """
    import socket

    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.renewal import ALL_DAYS, renew_certificates
    from kubelab_helpers.cluster.snapshots import require_control_plane
    from kubelab_helpers.hosts.runner import LocalRunner

    runner = LocalRunner(socket.gethostname())
    require_control_plane(runner)
    render.print_text(renew_certificates(runner, below or ALL_DAYS))


@snapshots.command()
def enable(
    hours: Annotated[int, typer.Option("--hours", min=1, max=168, help="Hours between two snapshots.")] = 6,
    keep: Annotated[int, typer.Option("--keep", min=1, max=1000, help="How many are kept.")] = 12,
    source: Annotated[str, typer.Option("--source", help="Where etcdctl and etcdutl come from.")] = "auto",
) -> None:
    """Make a snapshot on a timer from now on, on this control plane.

    Example: kubelab-host snapshot enable --hours 6 --keep 12
    """
    import socket

    from kubelab_helpers.artifacts.source import Store
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import snapshots as etcd
    from kubelab_helpers.hosts.executor import apply_plan, end_run
    from kubelab_helpers.hosts.plan import PlannedChange, plan
    from kubelab_helpers.hosts.runner import LocalRunner
    from kubelab_helpers.hosts.spec import LocalProgram
    from kubelab_helpers.hosts.state import probe_state
    from kubelab_helpers.lab.description import require_source

    runner = LocalRunner(socket.gethostname())
    etcd.require_control_plane(runner)
    with render.ProgressReporter() as reporter:
        store = Store(require_source(source))
        paths = store.fetch(etcd.TOOLS, reporter)
        tools = {name: LocalProgram(path, store.sha256(name)) for name, path in paths.items()}
        desired = [PlannedChange(etcd.STEP, change) for change in etcd.desire_snapshots(tools, hours, keep)]
        state = probe_state(runner, (name for each in desired for name in each.change.watched))
        made = apply_plan(runner, plan(runner.name, desired, state), state, reporter, etcd.STEP)
        end_run(runner, probe_state(runner, ()))
    render.print_text(f"{made} changes; a snapshot every {hours} h in {etcd.DIRECTORY}, the newest {keep} are kept.")


@snapshots.command()
def create(
    keep: Annotated[int, typer.Option("--keep", min=1, max=1000, help="How many are kept.")] = 12,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a snapshot of etcd now, and verify it.

    Example: kubelab-host snapshot create
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.snapshots import create_snapshot
    from kubelab_helpers.hosts.runner import LocalRunner

    made = create_snapshot(LocalRunner(), keep)
    if output is Output.JSON:
        render.print_json({"snapshot": vars(made)})
        return
    render.print_text(f"{made.path}: revision {made.revision}, {made.keys} keys, {made.size} bytes")


@snapshots.command("list")
def show(output: OutputOption = Output.TEXT) -> None:
    """Show the snapshots on this host, each read through; nothing is written.

    Example: kubelab-host snapshot list -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.snapshots import list_snapshots
    from kubelab_helpers.hosts.runner import LocalRunner

    found = list_snapshots(LocalRunner())
    if output is Output.JSON:
        render.print_json({"snapshots": [vars(each) for each in found]})
        return
    rows = [
        [each.path, str(each.revision), str(each.keys), str(each.size) if each.whole else "damaged"] for each in found
    ]
    render.print_table(("snapshot", "revision", "keys", "bytes"), rows)


@snapshots.command()
def restore(
    path: Annotated[str, typer.Argument(help="A snapshot of `kubelab-host snapshot list`.", show_default=False)],
    yes: YesOption = False,
) -> None:
    """Let etcd begin again with what a snapshot holds. What was changed in the cluster since is lost.

    The API is away for about a minute; the data of before is kept. With several control planes, the others must be
    taken out first.

    Example: kubelab-host snapshot restore /var/lib/kubelab/snapshots/etcd-20261124T123828Z.db --yes
    """
    import socket

    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.snapshots import require_control_plane, restore_snapshot
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.hosts.runner import LocalRunner

    if not yes:
        raise InvalidInputError(
            f"restore gives up everything that was changed in the cluster since {path}",
            next_step=f"kubelab-host snapshot restore {path} --yes",
        )
    runner = LocalRunner(socket.gethostname())
    require_control_plane(runner)
    kept = restore_snapshot(runner, path)
    render.print_text(f"etcd goes on with {path}; the data of before is in {kept}.")
