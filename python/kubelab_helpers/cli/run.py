"""How every command begins and ends: one place turns errors into exit statuses."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubelab_helpers.cli.render import print_error
from kubelab_helpers.errors import ExitStatus, KubelabError

if TYPE_CHECKING:
    import typer

DEBUG_VARIABLE = "KUBELAB_DEBUG"
TYPER_INTERRUPTED = 130
"""typer makes this exit status of a KeyboardInterrupt, before anyone else sees it."""


def run_app(app: typer.Typer, name: str) -> None:
    """Run a command line and exit with the status of the design's section 5; a traceback only with --debug."""
    try:
        app(prog_name=name)
    except KubelabError as error:
        if _debugging():
            raise
        print_error(error)
        sys.exit(error.exit_status)
    except SystemExit as ended:
        if ended.code != TYPER_INTERRUPTED:
            raise
        sys.stderr.write("\nInterrupted. What is done is recorded; the same command goes on from there.\n")
        sys.exit(ExitStatus.PARTLY_DONE)
    except Exception as error:  # the last one to see it: a person is not to be shown a traceback
        if _debugging():
            raise
        print_error(_unexpected(error, name))
        sys.exit(ExitStatus.FAILED)


def _debugging() -> bool:
    return bool(os.environ.get(DEBUG_VARIABLE))


def _unexpected(error: Exception, name: str) -> KubelabError:
    again = f"{name} --debug {' '.join(sys.argv[1:])}".rstrip()
    said = f"{type(error).__name__}: {error}"
    return KubelabError(
        f"something that kubelab did not expect: {said}", repeat=again, next_step="report what it shows"
    )
