"""Make a node of a container host, and be killed right after a journal line of a given number is on its disk.

Arguments: cluster, host, its network, and the number of the line, or 0 to live.
"""

from __future__ import annotations

import os
import signal
import sys

from tests.hosts.node import node_of, steps_of

from kubelab_helpers.hosts.command import Command, Completed
from kubelab_helpers.hosts.executor import converge, end_run
from kubelab_helpers.hosts.runner import ContainerRunner
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.result import SilentReporter


class DyingRunner(ContainerRunner):
    """A runner whose process is killed, as by `kill -9`, once so many lines have been written."""

    def __init__(self, container: str, lines: int) -> None:
        super().__init__(container)
        self._lines = lines

    def run(self, command: Command) -> Completed:
        """Run a command, and die after it if it was the last journal line to be written."""
        done = super().run(command)
        if "journal" in command.argv[3:4] and self._lines:
            self._lines -= 1
            if not self._lines:
                os.kill(os.getpid(), signal.SIGKILL)
        return done


def main() -> None:
    """Converge on every step in turn."""
    cluster, name, subnet, lines = sys.argv[1:]
    lab, node = node_of(cluster, name, subnet)
    runner = DyingRunner(lab.container_name(name), int(lines))
    made = sum(converge(runner, (step,), node, SilentReporter(), "sweep") for step in steps_of(lab))
    end_run(runner, probe_state(runner, ()))
    print(made)


main()
