"""The same work on several hosts at once, ended together: after Ctrl-C or a failure none begins another change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.hosts.executor import converge
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.lab.context import Lab

HOSTS_AT_ONCE = 8


def converge_all(
    lab: Lab, hosts: Sequence[HostSpec], steps: Sequence[Step], parts: dict[str, Path], task: Callable[[HostSpec], str]
) -> int:
    """Bring every host to what the steps want and return how many changes were made; the first error is raised."""
    stop = Event()

    def work(host: HostSpec) -> int:
        return converge(lab.runner(host), steps, lab.node(host, parts), lab.reporter, task(host), stop.is_set)

    with ThreadPoolExecutor(max_workers=HOSTS_AT_ONCE) as pool:
        futures = [pool.submit(work, host) for host in hosts]
        try:
            return sum(future.result() for future in futures)
        except BaseException:  # Ctrl-C too: the pool waits for its threads, which end after the change they are at
            stop.set()
            raise
