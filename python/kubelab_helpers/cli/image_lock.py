"""`kubelab image lock`: the packages of the images, locked for each Python."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelab_helpers.cli.image import image_app
from kubelab_helpers.cli.options import FileOption, Output, OutputOption


@image_app.command("lock")
def lock_packages(
    python: Annotated[list[str] | None, typer.Option("--python", help="Only this Python's locks.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Say which locks are not of today's inputs.")] = False,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take the newest releases, not those locked now.")] = False,
    file: FileOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Lock the packages of the images, with hashes, for each Python: all locks are written, or none.

    Example: kubelab image lock
    Example: kubelab image lock --python 3.8 --upgrade
    Example: kubelab image lock --check
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import KubelabError
    from kubelab_helpers.images.locks import load_locks
    from kubelab_helpers.images.resolver import write_locks
    from kubelab_helpers.lab.description import describe_lab

    locks = load_locks(python)
    states: dict[str, str]
    if check:
        states = {each.output: each.state() for each in locks}
    else:
        with render.ProgressReporter() as reporter:
            written = write_locks(locks, reporter, upgrade=upgrade, ca_bundle=describe_lab(file).ca_bundle)
        states = {each.lock.output: "changed" if each.changed else "as it was" for each in written}
    rows = [{"name": each.output, "python": each.python, "state": states[each.output]} for each in locks]
    if output is Output.JSON:
        render.print_json({"locks": rows})
    else:
        render.print_table(("lock", "Python", "state"), [list(each.values()) for each in rows])
    if stale := [name for name, state in states.items() if state in {"outdated", "absent"}]:
        raise KubelabError(f"not locked from today's inputs: {', '.join(stale)}", next_step="kubelab image lock")
