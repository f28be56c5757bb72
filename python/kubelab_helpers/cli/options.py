"""Options that every command line of kubelab spells the same way."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Output(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


class NodeRole(StrEnum):
    """What a host is, or is to become."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text for people, json for programs.")]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="The lab's file.", show_default="kubelab.yaml if it is there")
]
DrainSecondsOption = Annotated[
    float, typer.Option("--drain-seconds", min=1, help="How long each node's pods have to move away.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="End pods that nothing starts anew, such as users' servers.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without it nothing is removed.")]
FOLDER = Path(".kubelab")
"""Where the operator's machine keeps what it can read from the hosts again."""
