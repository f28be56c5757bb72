"""The commands `kubelab image`: the images of the catalogue, listed, built, and put onto the nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from kubelab_helpers.cli.options import FOLDER, FileOption, Output, OutputOption

image_app = typer.Typer(help="List and build the images, and put them onto the nodes.", no_args_is_help=True)
PythonOption = Annotated[
    list[str] | None, typer.Option("--python", help="Build for this Python; instead of kubelab.yaml's `pythons`.")
]
AllPythonsOption = Annotated[bool, typer.Option("--all-pythons", help="Build for every Python of the catalogue.")]


@image_app.command("list")
def list_images(file: FileOption = None, output: OutputOption = Output.TEXT) -> None:
    """Show every image: where its Python comes from and until when that is mended, whether it is built, and its size.

    Example: kubelab image list
    """
    from datetime import date

    from kubelab_helpers.artifacts.source import Store
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.images.catalog import load_catalog
    from kubelab_helpers.images.matrix import read_matrix

    catalog, today = load_catalog(), date.today()  # noqa: DTZ011 — an end of life is a day, in the reader's calendar
    running = engine.client() if engine.is_running() else None
    found = read_matrix(catalog, _pythons(file, None, False), engine=running, store=Store(), today=today)
    if output is Output.JSON:
        render.print_json({"images": [vars(each) for each in found]})
        return
    columns = ("image", "Python", "from", "end of life", "status", "here", "MB")
    rows = [[*(str(each or "") for each in list(vars(row).values())[:-1]), _megabytes(row.size_bytes)] for row in found]
    render.print_table(columns, rows)


@image_app.command("build")
def build_images(
    names: Annotated[list[str] | None, typer.Argument(help="Images; all of the lab by default.")] = None,
    python: PythonOption = None,
    all_pythons: AllPythonsOption = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many are built at once.", show_default="what CPUs and free memory of the machine carry"
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(help="linux/arm64 or linux/amd64.", show_default="this machine's"),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Build all from their beginning, with today's Debian packages.")
    ] = False,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Build images whose inputs changed, several at once.

    Example: kubelab image build notebook-py3.11
    Example: kubelab image build notebook-multi --python 3.9 --python 3.13
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.images.build import build
    from kubelab_helpers.images.catalog import load_catalog
    from kubelab_helpers.images.platform import parse_platform
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab

    with render.ProgressReporter() as reporter:
        lab = Lab(describe_lab(file), FOLDER, reporter)
        pythons = _pythons(file, python, all_pythons)
        load_catalog().select(names or None, pythons)  # an unknown name is told before an engine is looked for
        parse_platform(platform)
        built = build(
            names or None,
            engine=lab.engine,
            reporter=reporter,
            pythons=pythons,
            source=lab.spec.source,
            bundle=lab.spec.bundle,
            ca_bundle=lab.spec.ca_bundle,
            jobs=jobs,
            no_cache=no_cache,
            platform=platform,
        )
    rows = [{**vars(each), "seconds": round(each.seconds, 2)} for each in built]
    if output is Output.JSON:
        render.print_json({"images": rows})
        return
    columns = ("image", "built", "seconds", "MB")
    table = [
        [each.name, "yes" if each.changed else "as it was", f"{each.seconds:.1f}", _megabytes(each.size_bytes)]
        for each in built
    ]
    render.print_table(columns, table)


@image_app.command("prepull")
def prepull_images(
    node: Annotated[list[str] | None, typer.Option("--node", help="Only this node; may be repeated.")] = None,
    image: Annotated[
        list[str] | None, typer.Option("--image", help="Only this image, as in `image list`; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be pulled; do nothing.")] = False,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Pull what users' servers start from onto the nodes where one may run, four nodes at a time. `kubelab up` does so.

    What fails is told with its reason, and the rest goes on; exit status 1 then.

    Example: kubelab image prepull
    Example: kubelab image prepull --node worker-1 --image notebook-py3.11 -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.prepull import decide_pulls, explain_failures, prepull_by_name
    from kubelab_helpers.lab.pulling import find_missing

    with render.ProgressReporter() as reporter:
        lab = Lab(describe_lab(file), FOLDER, reporter)
        if dry_run:
            decided = decide_pulls(lab, node or (), image or ())
            pulls = find_missing(lab, decided.wanted)
        else:
            with hold_locks(lab):
                decided, pulls = prepull_by_name(lab, node or (), image or ())
    if output is Output.JSON:
        rows = [{**vars(each), "seconds": round(each.seconds, 2)} for each in pulls]
        render.print_json({"cluster": lab.spec.name, "dry_run": dry_run, "pulls": rows, "others": list(decided.others)})
    else:
        done = "would be pulled" if dry_run else "pulled"
        table = [
            [
                each.node,
                each.image,
                "FAILED" if each.problem else done if each.changed else "as it was",
                f"{each.seconds:.1f}",
            ]
            for each in pulls
        ]
        render.print_table(("node", "image", "", "seconds"), table)
        for other in decided.others:
            render.print_text(f"{other}: of another registry, so the cluster's own puller brings it")
    if error := explain_failures(pulls):
        raise error


def _pythons(file: Path | None, asked: list[str] | None, every: bool) -> list[str]:
    """Return the Pythons that a build is for: all, those asked for, or the lab's."""
    from kubelab_helpers.images.catalog import load_catalog
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.images import pythons_of
    from kubelab_helpers.result import SilentReporter

    if every:
        return [each.version for each in load_catalog().pythons.values() if each.origin]
    spec = describe_lab(file)
    return pythons_of(Lab(replace(spec, pythons=tuple(asked)) if asked else spec, FOLDER, SilentReporter()))


def _megabytes(size_bytes: int | None) -> str:
    return "" if size_bytes is None else str(size_bytes // 10**6)
