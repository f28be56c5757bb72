"""`kubelab image prune`: images that nothing needs any more go from this machine's engine."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelab_helpers.cli.image import image_app
from kubelab_helpers.cli.options import Output, OutputOption, YesOption


@image_app.command("prune")
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Remove images of kubelab that the catalogue has no more, or that were built from other inputs than today's.

    What a container was made from stays, and so does everything that is not kubelab's. The registry keeps what it has.

    Example: kubelab image prune --dry-run
    Example: kubelab image prune --yes
    """
    from kubelab_helpers.artifacts.source import Store
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.images import pruning
    from kubelab_helpers.images.catalog import load_catalog

    client = engine.client()
    plan = pruning.plan_prune(client, load_catalog(), Store())
    if plan.stale and not yes and not dry_run:
        raise InvalidInputError(
            f"prune removes {len(plan.stale)} images from this machine's engine",
            next_step="kubelab image prune --dry-run shows which; kubelab image prune --yes removes them",
        )
    if dry_run:
        removed, in_use = plan.stale, plan.in_use
        freed = {"at_least_bytes": sum({each.image_id: each.unique_bytes for each in removed}.values())}
    else:
        with render.ProgressReporter() as reporter:
            done = pruning.prune(client, plan, reporter)
        removed, in_use = done.removed, done.in_use
        freed = {"layers_bytes": done.layers_bytes, "freed_bytes": done.freed_bytes}
    if output is Output.JSON:
        told = {"removed": [vars(each) for each in removed], "in_use": [vars(each) for each in in_use]}
        render.print_json({**told, "nameless": plan.nameless, "dry_run": dry_run, **freed})
        return
    what = "would go" if dry_run else "removed"
    rows = [[each.name, each.reason, what, _megabytes(each.unique_bytes)] for each in removed]
    rows += [[each.name, each.reason, "in use", _megabytes(each.unique_bytes)] for each in in_use]
    if rows:
        render.print_table(("image", "why", "", "MB of its own"), rows)
    if dry_run:
        render.print_text(f"{len(removed)} would go, which gives at least {freed['at_least_bytes']} bytes back")
    else:
        held = max(freed["layers_bytes"] - freed["freed_bytes"], 0)
        cache = f"; the engine's build cache holds {held} more (`docker builder prune`)" if held else ""
        render.print_text(f"{len(removed)} removed, {freed['freed_bytes']} bytes given back{cache}")
    if plan.nameless:
        render.print_text(
            f"{plan.nameless} without a name may be kubelab's: `docker image prune` removes what has none"
        )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 10**6:.1f}"
