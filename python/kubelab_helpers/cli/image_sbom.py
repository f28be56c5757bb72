"""`kubelab image sbom`: an image's bill of materials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubelab_helpers.cli.image import image_app
from kubelab_helpers.cli.options import Output, OutputOption


@image_app.command("sbom")
def sbom(
    name: Annotated[str, typer.Argument(help="An image as `list` shows it.", show_default=False)],
    to: Annotated[Path | None, typer.Option("--to", help="Write it to this file.", show_default="stdout")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Write a built image's bill of materials: CycloneDX 1.6 as JSON. The same image gives the same bytes.

    It lists Debian, Python and npm packages and CPython: where each is, and its licence where its metadata says one.

    Example: kubelab image sbom hub > hub.cdx.json
    Example: kubelab image sbom notebook-py3.11 --to notebook-py3.11.cdx.json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.document import require_folder, write_whole
    from kubelab_helpers.images.catalog import load_catalog
    from kubelab_helpers.images.presence import require_image
    from kubelab_helpers.images.sbom import write_bill

    asked = load_catalog().one(name)
    if to:
        require_folder(to)
    client = engine.client()
    image = require_image(client, asked)
    bill = write_bill(client, asked.name, image)
    if to is None:
        render.print_text(bill.rstrip("\n"))
        return
    write_whole(to, bill)
    if output is Output.JSON:
        render.print_json({"sbom": {"image": asked.name, "image_id": str(image.id), "file": str(to)}})
        return
    render.print_text(f"{to}: {asked.name} ({image.id})")
