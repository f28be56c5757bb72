"""`kubelab-host docker`: Docker on this host: looked at, installed, configured, tried, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kubelab_helpers.cli.docker_options import takes_wishes
from kubelab_helpers.cli.options import Output, OutputOption

if TYPE_CHECKING:
    from kubelab_helpers.hosts.docker_engine import DockerPlan
    from kubelab_helpers.hosts.steps.docker import DockerSpec

app = typer.Typer(
    help="Docker on this host: status, plan, install, uninstall, test.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def status(output: OutputOption = Output.TEXT) -> None:
    """Show what Docker is on this host; nothing is written, and a stopped daemon is not started.

    Example: kubelab-host docker status -o json
    """
    import dataclasses

    from kubelab_helpers.cli import render
    from kubelab_helpers.hosts.docker import probe_docker
    from kubelab_helpers.hosts.runner import LocalRunner

    found = probe_docker(LocalRunner())
    data = {
        key: sorted(value) if isinstance(value, frozenset) else value
        for key, value in dataclasses.asdict(found).items()
    }
    if output is Output.JSON:
        render.print_json({"description": found.description, "kind": found.kind, "docker": data})
        return
    render.print_text(found.description)
    shown = ("packages", "info", "dropins", "members", "compose_plugin", "compose_standalone")
    render.print_table(("", ""), [[key, str(data[key])] for key in shown if data[key]])


@app.command()
@takes_wishes
def plan(
    wanted: DockerSpec,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what `install` with the same options would do; nothing is written.

    Example: kubelab-host docker plan --user alice
    """
    from kubelab_helpers.hosts.docker_engine import read_docker_plan
    from kubelab_helpers.hosts.runner import LocalRunner

    _print_plan(read_docker_plan(LocalRunner(), wanted), output, done=False)


@app.command()
@takes_wishes
def install(
    wanted: DockerSpec,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as `plan`.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, replace the Docker that is there.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Install Docker, or do what is missing of it; one that is there already is left alone.

    Example: kubelab-host docker install --from distribution --user alice
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.hosts.docker_engine import install_docker, read_docker_plan
    from kubelab_helpers.hosts.runner import LocalRunner

    if dry_run:
        _print_plan(read_docker_plan(LocalRunner(), wanted), output, done=False)
        return
    if wanted.replace and not yes:
        raise InvalidInputError(
            "--replace stops the containers of the Docker that is there",
            next_step="see what it would do with --dry-run, then add --yes",
        )
    with render.ProgressReporter() as reporter:
        decided, _ = install_docker(LocalRunner(), wanted, reporter)
    _print_plan(decided, output, done=True)


@app.command()
def uninstall(
    yes: Annotated[bool, typer.Option("--yes", help="Yes, take it away.")] = False,
    purge_data: Annotated[
        bool, typer.Option("--purge-data", help="Remove images, containers and volumes too.")
    ] = False,
    keep_changed: Annotated[
        bool, typer.Option("--keep-changed", help="Leave the files that someone else changed as they are.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be put back, and do nothing.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take away what kubelab installed of Docker, and only that: an earlier Docker that it replaced comes back.

    Example: kubelab-host docker uninstall --dry-run
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.hosts.docker_engine import read_uninstall, uninstall_docker
    from kubelab_helpers.hosts.runner import LocalRunner

    runner = LocalRunner()
    decided = read_uninstall(runner, keep_changed=keep_changed, purge_data=purge_data)
    if not dry_run:
        if not yes:
            raise InvalidInputError(
                "kubelab-host docker uninstall stops the containers on this host",
                next_step="see what it would do with --dry-run, then add --yes",
            )
        with render.ProgressReporter() as reporter:
            uninstall_docker(runner, decided, reporter, purge_data=purge_data)
    if output is Output.JSON:
        render.print_json({"done": not dry_run, **decided.as_data()})
        return
    if not decided.entries:
        render.print_text("kubelab installed no Docker here: there is nothing to take away.")
        return
    rows = [[entry["summary"]] for entry in decided.as_data()["entries"]]
    render.print_table(("would put back" if dry_run else "put back",), rows)


@app.command("test")
def try_containers(
    restart: Annotated[
        bool, typer.Option("--restart/--no-restart", help="Restart the daemon to try live-restore.")
    ] = True,
    output: OutputOption = Output.TEXT,
) -> None:
    """Run containers on this host and look whether all is as it should be; no network is needed.

    Example: kubelab-host docker test --no-restart
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import KubelabError
    from kubelab_helpers.hosts.docker_engine import try_docker
    from kubelab_helpers.hosts.runner import LocalRunner

    checks = try_docker(LocalRunner(), restart=restart)
    if output is Output.JSON:
        render.print_json({"checks": [vars(each) for each in checks]})
    else:
        render.print_table(("check", "works", "seen"), [[each.name, each.outcome, each.detail] for each in checks])
    failed = [each.name for each in checks if each.outcome == "no"]
    if failed or not checks:
        raise KubelabError(
            f"Docker does not work as it should here: {', '.join(failed) or 'nothing answered'}",
            next_step="journalctl --unit docker; `kubelab-host docker install --configure` merges kubelab's settings",
        )


def _print_plan(decided: DockerPlan, output: Output, *, done: bool) -> None:
    from kubelab_helpers.cli import render

    if output is Output.JSON:
        render.print_json({"done": done, **decided.as_data()})
        return
    for note in decided.decision.notes:
        render.print_text(note)
    for conflict in decided.decision.conflicts:
        render.print_text(f"kept: {conflict} (--change {conflict.key.partition('.')[0]} changes it)")
    if not decided.plan.changes:
        render.print_text("Nothing is to be done.")
        return
    rows = [[planned.change.summary] for planned in decided.plan.changes]
    render.print_table(("done" if done else "would be done",), rows)
