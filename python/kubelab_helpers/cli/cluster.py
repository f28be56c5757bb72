"""The commands `kubelab cluster`: the hosts of kubelab.yaml, and the cluster that they are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubelab_helpers.cli.host_options import IgnoreOption
from kubelab_helpers.cli.options import (
    FOLDER,
    DrainSecondsOption,
    FileOption,
    ForceOption,
    Output,
    OutputOption,
    YesOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kubelab_helpers.cluster.connections import Verdict
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.result import Reporter, StageResult

cluster_app = typer.Typer(help="The cluster: many hosts, from kubelab.yaml, over OpenSSH.", no_args_is_help=True)
HostArgument = Annotated[str, typer.Argument(help="A host of kubelab.yaml.", show_default=False)]


@cluster_app.command()
def plan(file: FileOption = None, ignore: IgnoreOption = None, output: OutputOption = Output.TEXT) -> None:
    """Say what apply would change, host by host; nothing is written.

    Example: kubelab cluster plan
    Example: kubelab cluster plan --file lab.yaml -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.preview import preview_cluster
    from kubelab_helpers.result import SilentReporter

    lab = _lab(file, SilentReporter(), ignore)
    found = preview_cluster(lab)
    if output is Output.JSON:
        render.print_json({"cluster": lab.spec.name, "stages": [vars(each) for each in found]})
        return
    rows = []
    for each in found:
        if each.hosts:
            rows += [[each.stage, host, "\n".join(changes) or "nothing"] for host, changes in each.hosts.items()]
        else:
            rows.append([each.stage, "", "known after apply" if each.changes is None else "\n".join(each.changes)])
    render.print_table(("stage", "host", "would do"), [[*row[:2], row[2] or "nothing"] for row in rows])


@cluster_app.command()
def apply(file: FileOption = None, ignore: IgnoreOption = None, output: OutputOption = Output.TEXT) -> None:
    """Make the cluster that kubelab.yaml describes, or what is missing of it. Run it again at any time.

    Example: kubelab cluster apply
    Example: kubelab cluster apply --ignore memory
    """
    _apply(file, output, "apply", ignored=ignore)


@cluster_app.command()
def add(
    name: HostArgument,
    file: FileOption = None,
    ignore: IgnoreOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take a host into the cluster that you have added to kubelab.yaml; the others get what they must know of it.

    Example: kubelab cluster add worker-3
    """
    _apply(file, output, "add", name, ignore)


@cluster_app.command()
def remove(
    name: HostArgument,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
    yes: YesOption = False,
    drain_seconds: DrainSecondsOption = 300,
    lost: Annotated[bool, typer.Option("--lost", help="The host is gone for good: do not reach it.")] = False,
) -> None:
    """Drain a host, take it out of the cluster, and put it back as it was before kubelab; users' homes stay on it.

    Take it out of kubelab.yaml afterwards: what stands there, apply brings back.

    Example: kubelab cluster remove worker-3 --yes
    Example: kubelab cluster remove control-2 --lost --yes
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.membership import remove_host

    if not yes:
        raise InvalidInputError(
            f"remove takes {name} out of the cluster", next_step=f"kubelab cluster remove {name} --yes"
        )
    with render.ProgressReporter() as reporter:
        lab = _lab(file, reporter)
        lab.spec.host(name)
        with hold_locks(lab):
            done = remove_host(lab, name, drain_seconds=drain_seconds, lost=lost)
    if output is Output.JSON:
        render.print_json({"removed": name, "done": done})
        return
    render.print_text("\n".join(done))


@cluster_app.command()
def upgrade(
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, in which order.")] = False,
    drain_seconds: DrainSecondsOption = 300,
    force: ForceOption = False,
) -> None:
    """Bring the cluster to the Kubernetes that kubelab.yaml names, one node after the other. Run it again to go on.

    etcd is saved first. Kubernetes cannot go back: see docs/upgrade.md for what to do when something fails.

    Example: kubelab cluster upgrade --dry-run
    Example: kubelab cluster upgrade --force
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.stages import run_stages
    from kubelab_helpers.lab.upgrade import DrainOptions, decide_upgrade, upgrade_stages

    with render.ProgressReporter() as reporter:
        lab = _lab(file, reporter)
        with hold_locks(lab):
            stages = upgrade_stages(lab, decide_upgrade(lab, force=force), DrainOptions(drain_seconds, force))
            results = [] if dry_run else run_stages(lab, stages, "cluster upgrade")
    if dry_run:
        render.print_stages(lab.spec.name, lab.spec.kubernetes_version, stages, as_json=output is Output.JSON)
        return
    _print_results(lab, results, output)


@cluster_app.command()
def check(
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
    outside: Annotated[
        list[str] | None, typer.Option("--outside", help="NAME or NAME:PORT that pods must reach; port 443 by default.")
    ] = None,
) -> None:
    """Try the cluster's network with real connections: pods, Services, names, ports, policies. Exit status 1 if not so.

    Pods of its own are made on every node, and removed at the end.

    Example: kubelab cluster check
    Example: kubelab cluster check --outside pypi.org -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.connections import REMEDIES, TITLES
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.verification import check_network

    with render.ProgressReporter() as reporter:
        lab = _lab(file, reporter)
        with hold_locks(lab):
            verdicts = check_network(lab, tuple(outside or ()))
    failed = sorted({each.connection.id for each in verdicts if not each.ok}, key=list(TITLES).index)
    if output is Output.JSON:
        rows = [
            {
                "id": each.connection.id,
                "from": each.connection.origin,
                "to": each.connection.target,
                "expected": each.connection.expected,
                "ok": each.ok,
                "said": each.said,
            }
            for each in verdicts
        ]
        render.print_json({"cluster": lab.spec.name, "ok": not failed, "connections": rows})
    else:
        _print_verdicts(verdicts)
        if failed:
            render.print_text(f"{TITLES[failed[0]]}: {REMEDIES[failed[0]]}")
        if len(failed) > 1:
            render.print_text("Mend that first: the rest may follow from it.")
    if failed:
        sys.exit(1)


@cluster_app.command()
def isolate(
    namespace: Annotated[str, typer.Argument(help="A namespace of the cluster.", show_default=False)],
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Let a namespace's pods only ask for names and speak with each other: three NetworkPolicies, to be added to.

    To take them back: kubectl delete networkpolicy kubelab-deny-all kubelab-allow-dns kubelab-allow-namespace.

    Example: kubelab cluster isolate course-1
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.connections import POLICIES
    from kubelab_helpers.lab.verification import isolate as put_policies

    with render.ProgressReporter() as reporter:
        put_policies(_lab(file, reporter), namespace)
    if output is Output.JSON:
        render.print_json({"namespace": namespace, "policies": [f"kubelab-{name}" for name in POLICIES]})
        return
    render.print_text(f"{namespace}: all is denied, but names and the namespace's own pods.")


@cluster_app.command()
def status(file: FileOption = None, output: OutputOption = Output.TEXT) -> None:
    """Show nodes, etcd's members and the days until certificates end. Exit status 1 when something is not well.

    Example: kubelab cluster status -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.membership import is_healthy, read_status
    from kubelab_helpers.result import SilentReporter

    found = read_status(_lab(file, SilentReporter()))
    healthy = is_healthy(found)
    if output is Output.JSON:
        render.print_json({**found, "healthy": healthy})
    else:
        _print_status(found)
    if not healthy:
        sys.exit(1)


def _apply(
    file: Path | None, output: Output, command: str, name: str | None = None, ignored: Sequence[str] | None = None
) -> None:
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.stages import APPLY_STAGES, run_stages

    with render.ProgressReporter() as reporter:
        lab = _lab(file, reporter, ignored)
        if name:
            lab.spec.host(name)
        with hold_locks(lab):
            results = run_stages(lab, APPLY_STAGES, f"cluster {command}")
    _print_results(lab, results, output)


def _print_verdicts(verdicts: Sequence[Verdict]) -> None:
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.connections import TITLES

    rows = [
        [
            "ok" if each.ok else "FAILS",
            TITLES[each.connection.id],
            each.connection.origin,
            each.connection.target,
            each.connection.expected if each.ok else f"{each.connection.expected}: {each.said}",
        ]
        for each in verdicts
    ]
    render.print_table(("", "connection", "from", "to", "expected"), rows)


def _print_results(lab: Lab, results: Sequence[StageResult], output: Output) -> None:
    from kubelab_helpers.cli import render
    from kubelab_helpers.result import Outcome

    if output is Output.JSON:
        stages = [{**vars(each), "seconds": round(each.seconds, 2)} for each in results]
        render.print_json({"cluster": lab.spec.name, "kubeconfig": str(lab.kubeconfig), "stages": stages})
        return
    render.print_table(("stage", "outcome", "seconds", "detail"), render.stage_rows(results))
    changed = any(each.outcome is Outcome.CHANGED for each in results)
    render.print_text(f"{sum(each.seconds for each in results):.1f} s. " + ("" if changed else "Nothing changed."))


def _lab(file: Path | None, reporter: Reporter, ignored: Sequence[str] | None = None) -> Lab:
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab

    return Lab(describe_lab(file), FOLDER, reporter, ignored=tuple(ignored or ()))


def _print_status(found: dict[str, Any]) -> None:
    from kubelab_helpers.cli import render

    rows = [
        [node["name"], node["role"], _state_of(node), node.get("version", ""), node["address"]]
        for node in found["nodes"]
    ]
    render.print_table(("node", "role", "state", "version", "address"), rows, title=f"cluster {found['cluster']}")
    members = [[each["name"], each["address"], _vote_of(each)] for each in found["etcd"]]
    render.print_table(("etcd member", "address", "state"), members)
    for each in found["certificates"]:
        days = f"{each['name']} ends first, in {each['days']} days" if each["days"] is not None else each["problem"]
        render.print_text(f"Certificates on {each['host']}: {days}")


def _state_of(node: dict[str, Any]) -> str:
    if not node["joined"]:
        return "NOT in the cluster"
    ready = "Ready" if node["ready"] else "NOT ready"
    taken = "" if node["schedulable"] else ", takes no pods"
    return f"{ready}{taken}" if node["described"] else f"{ready}{taken}, not in kubelab.yaml"


def _vote_of(member: dict[str, Any]) -> str:
    if not member["healthy"]:
        return "does NOT answer"
    return "answers, and does not vote yet" if member["learner"] else "answers"
