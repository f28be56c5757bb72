"""`kubelab image push` and `kubelab image values`: built images in a registry, and the chart's values for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubelab_helpers.cli.image import image_app
from kubelab_helpers.cli.options import FOLDER, FileOption, Output, OutputOption


@image_app.command("push")
def push(
    names: Annotated[list[str] | None, typer.Argument(help="Images; all of the lab by default.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Another registry, as HOST/PATH.", show_default="the lab's own")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace tags that exist with other content.")] = False,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Push built images and say under which digest each is there. A tag with other content is not replaced unasked.

    In the lab's own registry a newer build of the same image does replace the older one.

    Example: kubelab image push
    Example: kubelab image push hub proxy --to registry.example/team
    """
    from kubelab_helpers.artifacts.source import IMAGE_PREFIX
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.publication import push_built

    with render.ProgressReporter() as reporter:
        lab = Lab(describe_lab(file), FOLDER, reporter)
        pushed = push_built(lab, names or None, to=to or IMAGE_PREFIX, force=force)
    if output is Output.JSON:
        render.print_json({"images": [vars(each) for each in pushed]})
        return
    for each in pushed:
        render.print_text(f"{each.reference}@{each.digest}{'' if each.changed else ' (as it was)'}")


@image_app.command("values")
def values(
    pushed_to: Annotated[
        str | None, typer.Option("--pushed-to", help="The registry of `push --to`.", show_default="the lab's own")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Write them to this file.", show_default="stdout")] = None,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Write the chart's values for what was pushed: each image by its digest, and the list of Pythons.

    Example: kubelab image values --pushed-to registry.example/team --to images.yaml
    Example: helm upgrade jupyterhub charts/jupyterhub-multi --values images.yaml
    """
    import yaml

    from kubelab_helpers.artifacts.source import IMAGE_PREFIX
    from kubelab_helpers.cli import render
    from kubelab_helpers.document import require_folder, write_whole
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.publication import values_of_pushed
    from kubelab_helpers.result import SilentReporter

    if to:
        require_folder(to)
    found = values_of_pushed(Lab(describe_lab(file), FOLDER, SilentReporter()), pushed_to or IMAGE_PREFIX)
    text = yaml.safe_dump(found, sort_keys=False)
    if to:
        write_whole(to, text)
    if output is Output.JSON:
        render.print_json({"values": found, "file": str(to) if to else None})
        return
    render.print_text(f"{to}: {len(found['pythons'])} notebook images" if to else text.rstrip("\n"))
