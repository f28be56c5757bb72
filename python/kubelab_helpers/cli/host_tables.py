"""What `kubelab-host` prints of the stages on this host: as they would go, and as they went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelab_helpers.cli.options import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelab_helpers.cluster.spec import LabSpec
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.preview import Preview
    from kubelab_helpers.result import StageResult


def print_previews(spec: LabSpec, found: Sequence[Preview], output: Output) -> None:
    """Print what would be changed on this host, stage by stage."""
    from kubelab_helpers.cli import render

    if output is Output.JSON:
        render.print_json({"host": spec.hosts[-1].name, "stages": [vars(each) for each in found]})
        return
    rows = [
        [each.stage, "known after apply" if each.changes is None else "\n".join(_short(each.changes)) or "nothing"]
        for each in found
    ]
    render.print_table(("stage", "would do"), rows)


def _short(changes: Sequence[str]) -> list[str]:
    """Return changes without the host's name before each: there is only one."""
    return [each.partition(": ")[2] or each for each in changes]


def print_results(lab: Lab, results: Sequence[StageResult], output: Output) -> None:
    """Print how each stage on this host ended."""
    from kubelab_helpers.cli import render

    if output is Output.JSON:
        stages = [{**vars(each), "seconds": round(each.seconds, 2)} for each in results]
        render.print_json({"cluster": lab.spec.name, "host": lab.spec.hosts[-1].name, "stages": stages})
        return
    render.print_table(("stage", "outcome", "seconds", "detail"), render.stage_rows(results))
