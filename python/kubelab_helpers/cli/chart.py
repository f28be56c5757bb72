"""`kubelab chart`: what helps with the chart's values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubelab_helpers.cli.options import Output, OutputOption

chart_app = typer.Typer(help="Values for the chart.", no_args_is_help=True)


@chart_app.callback()
def group() -> None:
    """Keep the commands below their group's name while there is one only."""


@chart_app.command("import-values")
def import_values(
    file: Annotated[Path, typer.Argument(help="A values file of zero-to-jupyterhub.")],
    to: Annotated[Path | None, typer.Option("--to", help="Write them to this file.", show_default="stdout")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Turn zero-to-jupyterhub's values into the chart's, and say of each key what has become of it.

    What means the same is kept under its name. What stands under a
    secret's name is not written: the report says which Secret it belongs into.

    Example: kubelab chart import-values z2jh.yaml --to values.yaml
    Example: helm install jupyterhub charts/jupyterhub-multi --values values.yaml
    """
    import yaml

    from kubelab_helpers import resources
    from kubelab_helpers.cli import render
    from kubelab_helpers.document import read_document, require_folder, write_whole
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.release.conversion import convert_values
    from kubelab_helpers.release.schema import read_schema
    from kubelab_helpers.release.values import CHART

    if to:
        require_folder(to)
        if to.exists() and not force:
            raise InvalidInputError(f"{to} is there already", next_step="name another file, or add --force")
    theirs = read_document(file).values
    made = convert_values(theirs, read_schema(), read_document(resources.path(CHART) / "values.yaml").values)
    text = yaml.safe_dump(made.values, sort_keys=False, allow_unicode=True)
    if to:
        write_whole(to, text)
    if output is Output.JSON:
        notes = [each.as_data() for each in made.notes]
        render.print_json({"values": made.values, "notes": notes, "file": str(to) if to else None})
        return
    if not to:
        render.print_text(text.rstrip("\n"))
    rows = [[each.key, str(each.fate), each.text] for each in made.notes]
    render.print_table(("key", "", "what has become of it"), rows, to_stderr=not to)
