"""`kubelab-host upgrade`: the cluster of one node that stands on this host, brought to another Kubernetes."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelab_helpers.cli.host_options import BundleOption, SourceOption, VersionOption
from kubelab_helpers.cli.host_tables import print_results
from kubelab_helpers.cli.options import DrainSecondsOption, ForceOption, Output, OutputOption


def upgrade(
    kubernetes_version: VersionOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, in which order.")] = False,
    drain_seconds: DrainSecondsOption = 300,
    force: ForceOption = False,
    source: SourceOption = "auto",
    bundle: BundleOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Bring this host's own cluster to the newest Kubernetes, one minor at a time. Run it again to go on.

    etcd is saved first. Kubernetes cannot go back: see docs/upgrade.md for what to do when something fails. A cluster
    of several hosts is upgraded by `kubelab cluster upgrade`; the refusal shows its kubelab.yaml.

    Example: kubelab-host upgrade --dry-run
    Example: kubelab-host upgrade --force
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.hosts.runner import LocalRunner
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.stages import run_stages
    from kubelab_helpers.lab.standing import describe_standing, open_lab, probe_standing
    from kubelab_helpers.lab.upgrade import DrainOptions, decide_upgrade, upgrade_stages

    runner = LocalRunner()
    spec = describe_standing(runner, probe_standing(runner), kubernetes_version, source, bundle)
    with render.ProgressReporter() as reporter:
        lab = open_lab(spec, reporter)
        with hold_locks(lab):
            stages = upgrade_stages(lab, decide_upgrade(lab, force=force), DrainOptions(drain_seconds, force))
            results = [] if dry_run else run_stages(lab, stages, "upgrade")
    if dry_run:
        render.print_stages(spec.name, spec.kubernetes_version, stages, as_json=output is Output.JSON)
        return
    print_results(lab, results, output)
