"""`kubelab image inspect`: what is in the built images, and what they share."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubelab_helpers.cli.image import image_app
from kubelab_helpers.cli.options import Output, OutputOption

if TYPE_CHECKING:
    from kubelab_helpers.images.inspection import InspectedImage, Storage

PERCENT = 100


@image_app.command("inspect")
def inspect(
    name: Annotated[str | None, typer.Argument(help="One image; without it, the sizes of all.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show a built image: labels, configuration, each layer, and the bytes it shares. Without a name: all sizes.

    Example: kubelab image inspect notebook-py3.11
    Example: kubelab image inspect -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.images.catalog import load_catalog
    from kubelab_helpers.images.inspection import inspect_images, storage_of
    from kubelab_helpers.images.presence import require_image

    catalog = load_catalog()
    asked = catalog.one(name) if name else None
    client = engine.client()
    if asked:
        require_image(client, asked)
    found = inspect_images(client, catalog.images.values())
    storage = {
        "all": storage_of(found.values()),
        "pythons": storage_of(each for key, each in found.items() if catalog.images[key].python),
    }
    chosen = [found[asked.name]] if asked else list(found.values())
    if output is Output.JSON:
        told = {key: {**vars(each), "ratio": each.ratio} for key, each in storage.items()}
        render.print_json({"images": [asdict(each) for each in chosen], "storage": told})
        return
    if asked:
        _print_image(chosen[0])
    else:
        columns = ("image", "MB", "own", "shared", "layers")
        rows = [
            [each.name, *map(_megabytes, (each.size_bytes, each.own_bytes, each.shared_bytes)), str(len(each.layers))]
            for each in chosen
        ]
        render.print_table(columns, rows)
    render.print_text(_summary("all images here", storage["all"]))
    render.print_text(_summary("one image per Python", storage["pythons"]))


def _print_image(image: InspectedImage) -> None:
    from kubelab_helpers.cli import render

    sizes = f"{_megabytes(image.own_bytes)} own, {_megabytes(image.shared_bytes)} shared"
    rows = [
        ["reference", image.reference],
        ["id", image.image_id],
        ["created", image.created],
        ["platform", image.platform],
        ["MB unpacked", f"{_megabytes(image.size_bytes)}: {sizes}"],
        ["user", image.user],
        ["entry point", " ".join(image.entrypoint)],
        ["command", " ".join(image.command)],
        ["ports", " ".join(image.ports)],
        ["folder", image.working_directory],
        *(["environment", f"{key}={value}"] for key, value in image.environment.items()),
        *(["label", f"{key}={value}"] for key, value in sorted(image.labels.items())),
    ]
    render.print_table((image.name, ""), rows)
    layers: list[list[Any]] = [
        [
            _megabytes(each.size_bytes),
            str(len(each.shared_with)) if each.shared_with else "own",
            _short(each.created_by),
        ]
        for each in image.layers
    ]
    render.print_table(("MB", "shared with", "made by"), layers)


def _summary(what: str, storage: Storage) -> str:
    if storage.ratio is None:
        return f"{what}: none"
    sizes = f"{_megabytes(storage.stored_bytes)} MB stored for {_megabytes(storage.sum_bytes)} MB"
    return f"{what} ({storage.images}): {sizes}, {storage.ratio * PERCENT:.0f} %"


def _short(text: str) -> str:
    """Return an instruction on one line, cut where it is no longer read at a glance."""
    line = " ".join(text.split())
    return line if len(line) <= PERCENT else f"{line[: PERCENT - 1]}…"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 10**6:.1f}"
