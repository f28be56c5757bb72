"""The commands `kubelab registry`: this machine's registry, and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kubelab_helpers.cli.options import FOLDER, FileOption, Output, OutputOption, YesOption

if TYPE_CHECKING:
    from pathlib import Path

    from kubelab_helpers.images.access import RegistryAccess
    from kubelab_helpers.images.content import RegistryContent
    from kubelab_helpers.images.registry import RegistryState
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.result import Reporter

registry_app = typer.Typer(help="This machine's registry, from which the lab's nodes pull.", no_args_is_help=True)


@registry_app.command()
def up(file: FileOption = None, output: OutputOption = Output.TEXT) -> None:
    """Make the registry run; a lab's nodes find it in their network. `kubelab up` does this too.

    Example: kubelab registry up
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.registry import start_own_registry

    with render.ProgressReporter() as reporter:
        outcome, address = start_own_registry(_lab(file, reporter))
    if output is Output.JSON:
        render.print_json({"registry": {"address": address, "outcome": outcome.value}})
        return
    render.print_text(f"the registry answers at {address} ({render.MARKS[outcome]})")


@registry_app.command()
def status(output: OutputOption = Output.TEXT) -> None:
    """Show whether the registry runs, where, for which networks, and the bytes that it takes. Exit status 1 if not.

    Example: kubelab registry status -o json
    """
    import sys

    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.images.garbage import stored_bytes
    from kubelab_helpers.images.registry import registry_state
    from kubelab_helpers.lab.registry import certificate_days

    client = engine.client()
    found, stored = registry_state(client), stored_bytes(client)
    returns = engine.starts_with_machine()
    days = certificate_days(FOLDER) if found and found.tls else None
    state = found.status if found else "absent"
    address = f"127.0.0.1:{found.machine_port}" if found else None
    networks = found.addresses if found else {}
    if output is Output.JSON:
        data = {"status": state, "address": address, "networks": networks, "stored_bytes": stored}
        data["starts_with_machine"] = returns
        protection = {"tls": bool(found and found.tls), "authentication": bool(found and found.authentication)}
        render.print_json({"registry": {**data, **protection, "certificate_days": days}})
    else:
        told = ", ".join(f"{where} in {name}" for name, where in networks.items() if where)
        rows = [["status", state], ["here", address or ""], ["nodes find it at", told]]
        back = "comes back with Docker" if returns else "`kubelab registry up` starts it: no unit starts Docker"
        rows.append(["after a restart", back if found else ""])
        rows.append(["protected by", _describe_protection(found, days) if found else ""])
        render.print_table(("registry", ""), [*rows, ["on the disk", _megabytes(stored)]])
    if not found or not found.is_running:
        sys.exit(1)


@registry_app.command("list")
def list_images(output: OutputOption = Output.TEXT) -> None:
    """Show every image in the registry: name, digest, and its size as it is stored.

    Example: kubelab registry list
    """
    from kubelab_helpers.cli import render

    with _content() as content:
        images = content.list_images()
    if output is Output.JSON:
        render.print_json({"images": [{"name": each.name, **vars(each)} for each in images]})
        return
    render.print_table(
        ("image", "digest", "packed"), [[each.name, each.digest[:19], _megabytes(each.size_bytes)] for each in images]
    )


@registry_app.command()
def delete(
    name: Annotated[str, typer.Argument(help="An image as `list` shows it.", show_default=False)],
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take an image out of the registry; `gc` gives its disk back. Nodes that have it keep it.

    Example: kubelab registry delete kubelab/notebook:0.1.0-py3.8 --yes
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import InvalidInputError

    with _content() as content:
        image = content.find(name)
        if not yes:
            raise InvalidInputError(
                f"delete takes {name} ({image.digest}) out of the registry",
                next_step=f"kubelab registry delete {name} --yes",
            )
        gone = content.delete(image)
    if output is Output.JSON:
        render.print_json({"deleted": gone, "digest": image.digest})
        return
    render.print_text(f"deleted: {', '.join(gone)}\n`kubelab registry gc` gives the disk back")


@registry_app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Remove what no tag leads to any more, and say how many bytes that gave back. The registry pauses for it.

    Example: kubelab registry gc --dry-run
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.images.garbage import collect_garbage

    found = collect_garbage(engine.client(), _access(), dry_run=dry_run)
    if output is Output.JSON:
        render.print_json({"collected": vars(found)})
        return
    freed = found.before_bytes - found.after_bytes
    done = "would be removed" if dry_run else f"removed, {freed} bytes ({_megabytes(freed)}) given back"
    render.print_text(f"{found.blobs} blobs {done}; {_megabytes(found.after_bytes)} stored")


@registry_app.command()
def down(
    with_content: Annotated[bool, typer.Option("--with-content", help="Remove the images in it as well.")] = False,
    yes: YesOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop the registry. What it holds stays for the next `up`, unless it is to go too.

    Example: kubelab registry down --yes
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.images.registry import stop_registry

    if not yes:
        what = "with all images in it" if with_content else "so that nodes can pull nothing"
        option = " --with-content" if with_content else ""
        raise InvalidInputError(f"down removes the registry, {what}", next_step=f"kubelab registry down{option} --yes")
    outcome = stop_registry(engine.client(), with_content=with_content)
    if output is Output.JSON:
        render.print_json({"outcome": outcome.value, "with_content": with_content})
        return
    render.print_text(render.MARKS[outcome])


def _describe_protection(found: RegistryState, days: int | None) -> str:
    left = f", certificate good for {days} days" if days is not None else ""
    told = [f"TLS{left}"] if found.tls else []
    told += ["a password"] if found.authentication else []
    return " and ".join(told) or "nothing: only this machine and its nodes reach it"


def _content() -> RegistryContent:
    from kubelab_helpers.images.content import RegistryContent

    return RegistryContent(_access())


def _access() -> RegistryAccess:
    from kubelab_helpers.cluster import engine
    from kubelab_helpers.errors import BlockedError
    from kubelab_helpers.images.registry import registry_state
    from kubelab_helpers.lab.registry import find_access

    state = registry_state(engine.client())
    if state is None:
        raise BlockedError("this machine has no registry", next_step="`kubelab registry up` makes one")
    return find_access(FOLDER, state)


def _lab(file: Path | None, reporter: Reporter) -> Lab:
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab

    return Lab(describe_lab(file), FOLDER, reporter)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 10**6:.1f} MB"
