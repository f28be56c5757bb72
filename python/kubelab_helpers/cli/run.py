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


def run_app(app: typer.Typer, name: str) -> None:
    """Run a command line and exit with the status of the design's section 5; a traceback only with --debug."""
    try:
        app(prog_name=name)
    except KubelabError as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        print_error(error)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. What is done is recorded; the same command goes on from there.\n")
        sys.exit(ExitStatus.PARTLY_DONE)
