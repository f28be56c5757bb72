"""`kubelab image test`: whether built images are as they must be."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelab_helpers.cli.image import image_app
from kubelab_helpers.cli.options import FOLDER, FileOption, Output, OutputOption


@image_app.command("test")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Images; all of the lab by default.")] = None,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Ask each built image what it must hold to: user, read-only root, Pythons and kernels, size, trust.

    Exit status 1 when one does not. Nothing leaves a trace: the containers go, and none has a network.

    Example: kubelab image test
    Example: kubelab image test notebook-py3.8 hub -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.errors import ExitStatus
    from kubelab_helpers.images.acceptance import check_images, checks_of
    from kubelab_helpers.images.catalog import load_catalog
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.images import chart_images, pythons_of

    catalog = load_catalog()
    with render.ProgressReporter() as reporter:
        lab = Lab(describe_lab(file), FOLDER, reporter)
        images = catalog.named(names or chart_images(lab), pythons_of(lab))
        results = check_images(engine.client(), catalog, images, reporter=reporter)
    failed = [each for each in results if not each.passed]
    if output is Output.JSON:
        told = [{**vars(each), "passed": each.passed, "seconds": round(each.seconds, 2)} for each in results]
        render.print_json({"checks": told})
    else:
        meanings = {check.name: check.meaning for image in images for check in checks_of(catalog, image)}
        columns = ("image", "passed", "failed", "seconds")
        rows = []
        for image in images:
            own = [each for each in results if each.image == image.name]
            wrong = ", ".join(each.check for each in own if not each.passed)
            rows.append([image.name, str(sum(e.passed for e in own)), wrong, f"{sum(e.seconds for e in own):.1f}"])
        render.print_table(columns, rows)
        for each in failed:
            render.print_text(f"{each.image}: {each.check}: {each.problem}\n  {meanings[each.check]}")
    if failed:
        raise typer.Exit(ExitStatus.FAILED)
