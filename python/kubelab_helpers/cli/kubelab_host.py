"""The command `kubelab-host`: one host from where it stands."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from kubelab_helpers.cli import host_certs, host_check, host_cluster, host_docker, host_rollback, host_upgrade
from kubelab_helpers.cli.options import Output, OutputOption
from kubelab_helpers.cli.run import DEBUG_VARIABLE, run_app

app = typer.Typer(
    help="Look at this host, make it a node, and take that back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the rich help pages cost a tenth of a second at each start
    add_completion=False,
)


@app.callback()
def set_debug(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    """Options before the command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


@app.command()
def facts(output: OutputOption = Output.TEXT) -> None:
    """Show what the probe reads of this host; nothing is written.

    Example: kubelab-host facts -o json
    """
    import dataclasses

    from kubelab_helpers.cli import render
    from kubelab_helpers.hosts.facts import probe_host
    from kubelab_helpers.hosts.runner import LocalRunner

    found = {
        key: sorted(value) if isinstance(value, frozenset) else value
        for key, value in dataclasses.asdict(probe_host(LocalRunner())).items()
    }
    if output is Output.JSON:
        render.print_json({"facts": found})
        return
    render.print_table(("fact", "value"), [[key, str(value)] for key, value in found.items()])


app.command()(host_check.check)
app.command()(host_cluster.plan)
app.command()(host_cluster.init)
app.command()(host_cluster.ticket)
app.command()(host_cluster.join)
app.command()(host_upgrade.upgrade)
app.add_typer(host_docker.app, name="docker")
app.add_typer(host_certs.certs, name="certs")
app.add_typer(host_certs.snapshots, name="snapshot")
app.command()(host_rollback.status)
app.command()(host_rollback.rollback)
app.command()(host_rollback.reset)


def main() -> None:
    """Run the command line."""
    run_app(app, "kubelab-host")
