"""`kubelab policy`: what the release's network policies let through, tried."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kubelab_helpers.cli.options import FOLDER, FileOption, Output, OutputOption

policy_app = typer.Typer(help="Who may reach whom in the release.", no_args_is_help=True)
MATRIX_COLUMNS = 200


@policy_app.callback()
def group() -> None:
    """Keep the command below its group's name while there is one only."""


@policy_app.command()
def verify(
    outside: Annotated[
        str | None, typer.Option("--outside", help="An address of the internet to try, as HOST:PORT.")
    ] = None,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Try a cloud's metadata address too, on a machine of a cloud.")
    ] = False,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Try every pair that must and that must not connect, and print the matrix. Exit status 1 when one is wrong.

    Connections start in the hub, the proxy, a pod with a user's labels and a pod of another namespace; the pods are
    removed at the end. A word in brackets proves nothing, because nothing answers there. Nothing is sent out of the
    cluster unless it is asked for.

    Example: kubelab policy verify
    Example: kubelab policy verify --outside 192.0.2.1:443 -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.release import verify_policies
    from kubelab_helpers.release.reach import as_data, draw_matrix, find_failed, parse_address

    address = parse_address(outside) if outside else None
    with render.ProgressReporter() as reporter:
        verdicts = verify_policies(Lab(describe_lab(file), FOLDER, reporter), address, metadata=metadata)
    failed = find_failed(verdicts)
    if output is Output.JSON:
        render.print_json({"ok": not failed, "connections": [as_data(each) for each in verdicts]})
    else:
        render.print_table(*draw_matrix(verdicts), width=MATRIX_COLUMNS)
        for each in failed:
            must = "must connect" if each.attempt.allowed else "must not connect"
            render.print_text(f"{each.attempt.origin} to {each.attempt.target} {must}: {each.said}")
    if failed:
        sys.exit(1)
