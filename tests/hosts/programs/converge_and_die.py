"""Work on a container host, and be killed right after a journal line of a given number is on its disk.

Arguments: what to do (a name of WORK), cluster, its network, its hosts by commas (the last is worked on), and the
number of the line, or 0 to live.
"""

from __future__ import annotations

import os
import signal
import sys

from tests.hosts.node import lab_of, stages_of

from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.hosts.command import Command, Completed
from kubelab_helpers.hosts.executor import converge, end_run
from kubelab_helpers.hosts.reset import reset_host
from kubelab_helpers.hosts.runner import ContainerRunner
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.joining import join_hosts
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


def make(lab: Lab, host: HostSpec) -> int:
    """Converge on every stage of a cluster of one node in turn."""
    runner, node = lab.runner(host), lab.node(host, lab.parts())
    made = sum(converge(runner, steps, node, SilentReporter(), "sweep") for steps in stages_of(lab))
    end_run(runner, probe_state(runner, ()))
    return made


def join(lab: Lab, host: HostSpec) -> int:
    """Join a host that is prepared."""
    return join_hosts(lab, [host], at_once=1)


def reset(lab: Lab, host: HostSpec) -> int:
    """Put everything back."""
    return reset_host(lab.runner(host), host.name, SilentReporter())


WORK = {"make": make, "join": join, "reset": reset}


def main() -> None:
    """Do it, and say how many changes that were."""
    what, cluster, subnet, names, lines = sys.argv[1:]
    lab = lab_of(cluster, subnet, names.split(","))
    host = lab.spec.hosts[-1]
    lab._runners[host.name] = DyingRunner(lab.container_name(host.name), int(lines))
    print(WORK[what](lab, host))


main()
