"""The command `kubelab`: a lab from the operator's side."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubelab_helpers.cli import (  # their commands are added to `image`
    image_acceptance,  # noqa: F401
    image_inspect,  # noqa: F401
    image_lock,  # noqa: F401
    image_prune,  # noqa: F401
    image_push,  # noqa: F401
    image_sbom,  # noqa: F401
)
from kubelab_helpers.cli.chart import chart_app
from kubelab_helpers.cli.cluster import cluster_app
from kubelab_helpers.cli.image import image_app
from kubelab_helpers.cli.options import FOLDER, FileOption, Output, OutputOption, YesOption
from kubelab_helpers.cli.policy import policy_app
from kubelab_helpers.cli.registry import registry_app
from kubelab_helpers.cli.run import DEBUG_VARIABLE, run_app
from kubelab_helpers.cli.tls import tls_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.result import Reporter

app = typer.Typer(
    help="From bare Linux hosts to a multi-user JupyterHub where every user picks their Python.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the rich help pages cost a tenth of a second at each start
    add_completion=False,
)
app.add_typer(image_app, name="image")
app.add_typer(registry_app, name="registry")
bundle_app = typer.Typer(help="Carry the parts to where there is no network.", no_args_is_help=True)
app.add_typer(bundle_app, name="bundle")
app.add_typer(cluster_app, name="cluster")
app.add_typer(chart_app, name="chart")
app.add_typer(policy_app, name="policy")
app.add_typer(tls_app, name="tls")


@app.callback()
def set_debug(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    """Options before the command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


@app.command()
def up(
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
    source: Annotated[str | None, typer.Option(help="auto, bundle, upstream, modules or debian.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="A bundle's folder or tar.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a cluster made from other inputs, with its homes.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
) -> None:
    """Bring the lab up: engine, nodes, cluster, images, hub. Run it again at any time; it does only what is missing.

    Example: kubelab up
    Example: kubelab up --file lab.yaml --source modules
    Example: kubelab up --dry-run
    """
    if dry_run:
        _preview_up(_lab(file, _silent(), source=source, bundle=bundle), output)
        return
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.lock import hold_lock
    from kubelab_helpers.lab.stages import require_success, run_stages
    from kubelab_helpers.release.deploy import read_admin
    from kubelab_helpers.result import Outcome

    with render.ProgressReporter() as reporter:
        lab = _lab(file, reporter, source=source, bundle=bundle, replace=replace)
        with hold_lock(lab.spec.name):
            results = run_stages(lab)
    admin = read_admin(lab.kubeconfig)[0]
    address = lab.hub_address
    if output is Output.JSON:
        stages = [{**vars(each), "seconds": round(each.seconds, 2)} for each in results]
        render.print_json(
            {"address": address, "admin": admin, "password_file": str(lab.password_file), "stages": stages}
        )
    else:
        render.print_table(("stage", "outcome", "seconds", "detail"), render.stage_rows(results))
        changed = any(each.outcome is not Outcome.UNCHANGED for each in results)
        render.print_text(f"{sum(each.seconds for each in results):.1f} s. " + ("" if changed else "Nothing changed."))
        render.print_text(f"Hub:      {address}\nAdmin:    {admin}\nPassword: in {lab.password_file}")
        if lab.authority_file.exists():
            render.print_text(f"CA:       in {lab.authority_file}, for browsers to trust")
    require_success(results)


@app.command()
def down(
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
    yes: YesOption = False,
) -> None:
    """Remove the lab from this machine: nodes, networks, volumes, with the users' homes. The cache of parts stays.

    Hosts elsewhere are made as they were before kubelab; on them the users' homes stay, in /var/lib/kubelab/volumes.

    Example: kubelab down --yes
    """
    from kubelab_helpers.lab.down import remove_lab

    _remove(remove_lab, file, output, yes, "down")


@app.command()
def clean(
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
    yes: YesOption = False,
) -> None:
    """Remove the lab, the built images and the cache of parts. The next `up` builds everything again, for half an hour.

    Example: kubelab clean --yes
    """
    from kubelab_helpers.lab.down import clean_machine

    _remove(clean_machine, file, output, yes, "clean")


@app.command()
def status(file: FileOption = None, output: OutputOption = Output.TEXT) -> None:
    """Show nodes, versions, the hub's health and its address. Exit status 1 when the hub is not healthy.

    Example: kubelab status -o json
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.release import read_status

    found = read_status(_lab(file, _silent()))
    if output is Output.JSON:
        render.print_json(found)
    else:
        _print_status(found)
    if not found["hub"]["healthy"]:
        sys.exit(1)


@bundle_app.command("create")
def create_bundle(
    target: Annotated[Path, typer.Argument(help="A folder, or a file that ends in .tar.")],
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
    cluster_only: Annotated[bool, typer.Option("--cluster-only", help="Without the hub's images.")] = False,
) -> None:
    """Write every part that `up` needs into a bundle: programs, the nodes' images, and the hub's images, built here.

    Example: kubelab bundle create /media/usb/kubelab.tar
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab import bundle

    with render.ProgressReporter() as reporter:
        names = bundle.create_bundle(_lab(file, reporter), target, with_hub=not cluster_only)
    if output is Output.JSON:
        render.print_json({"bundle": str(target), "parts": names})
        return
    render.print_text(f"{target}: {len(names)} parts")


@bundle_app.command("inspect")
def inspect_bundle(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder or tar.")], output: OutputOption = Output.TEXT
) -> None:
    """Show what is in a bundle, and what this kubelab would lack of it. Exit status 3 when something is lacking.

    Example: kubelab bundle inspect /media/usb/kubelab.tar
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import ExitStatus
    from kubelab_helpers.lab.bundle import inspect_bundle as inspect

    found = inspect(bundle)
    if output is Output.JSON:
        render.print_json({"parts": [vars(part) for part in found.parts], "lacking": list(found.lacking)})
    else:
        rows = [
            [part.name, part.version, str(part.files), "" if part.current else "another recipe"] for part in found.parts
        ]
        render.print_table(("part", "version", "files", ""), rows)
        render.print_text("\n".join(f"lacking: {name}" for name in found.lacking) or "Nothing is lacking.")
    if found.lacking:
        raise typer.Exit(ExitStatus.BLOCKED)


@bundle_app.command("verify")
def verify_bundle(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder or tar.")], output: OutputOption = Output.TEXT
) -> None:
    """Hash every file of a bundle, after it was copied and before it is needed. Exit status 1 when one is damaged.

    Example: kubelab bundle verify /media/usb/kubelab.tar
    """
    from kubelab_helpers.artifacts.inspection import verify_bundle as verify
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import ExitStatus

    with render.ProgressReporter() as reporter:
        wrong = verify(bundle, reporter)
    if output is Output.JSON:
        render.print_json({"damaged": wrong})
    else:
        render.print_text("\n".join(f"damaged: {name}" for name in wrong) or "Every file is as its manifest says.")
    if wrong:
        raise typer.Exit(ExitStatus.FAILED)


def main() -> None:
    """Run the command line."""
    run_app(app, "kubelab")


def _lab(
    file: Path | None,
    reporter: Reporter,
    *,
    source: str | None = None,
    bundle: Path | None = None,
    replace: bool = False,
) -> Lab:
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab

    return Lab(describe_lab(file, source=source, bundle=bundle), FOLDER, reporter, replace)


def _remove(remove: Callable[[Lab], list[str]], file: Path | None, output: Output, yes: bool, command: str) -> None:
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.lab.lock import hold_lock

    if not yes:
        raise InvalidInputError(
            f"{command} removes the cluster, and with container nodes the users' homes",
            next_step=f"kubelab {command} --yes",
        )
    with render.ProgressReporter() as reporter:
        lab = _lab(file, reporter)
        with hold_lock(lab.spec.name):
            removed = remove(lab)
    if output is Output.JSON:
        render.print_json({"removed": removed})
        return
    render.print_text("\n".join(f"removed {each}" for each in removed) or "There was nothing to remove.")


def _silent() -> Reporter:
    from kubelab_helpers.result import SilentReporter

    return SilentReporter()


def _preview_up(lab: Lab, output: Output) -> None:
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.preview import preview_stages

    found = preview_stages(lab)
    if output is Output.JSON:
        render.print_json({"stages": [{"stage": each.stage, "changes": each.changes} for each in found]})
        return
    rows = [
        [each.stage, "known after apply" if each.changes is None else "\n".join(each.changes) or "nothing"]
        for each in found
    ]
    render.print_table(("stage", "would do"), rows)


def _print_status(found: dict[str, Any]) -> None:
    from kubelab_helpers.cli import render

    rows = [
        [node["name"], "Ready" if node["ready"] else "NOT ready", node["version"], node["address"]]
        for node in found["nodes"]
    ]
    render.print_table(("node", "state", "version", "address"), rows, title=f"cluster {found['cluster']}")
    hub = found["hub"]
    render.print_text(f"Hub:      {hub['address']} ({'healthy' if hub['healthy'] else 'NOT healthy'})")
    for problem in hub["problems"]:
        render.print_text(f"          {problem}")
    render.print_text(f"Admin:    {hub['admin']}\nPassword: in {hub['password_file']}")
