"""The same work on several hosts at once, ended together: after Ctrl-C or a failure none begins another change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import TypeVar

from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.hosts.executor import converge
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.lab.context import Lab

HOSTS_AT_ONCE = 8
T = TypeVar("T")


def for_each(
    hosts: Sequence[HostSpec], work: Callable[[HostSpec], T], *, at_once: int = HOSTS_AT_ONCE, stop: Event | None = None
) -> list[T]:
    """Do the same on every host, `at_once` of them at a time, and return the results in the hosts' order.

    The first error is raised once the others have ended; `stop` is set for them to end early.
    """
    stop = stop or Event()
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        futures = [pool.submit(work, host) for host in hosts]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in ended:
                future.result()
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C too: the pool waits for its threads, which end after the change they are at
            stop.set()
            for future in futures:
                future.cancel()
            raise


def converge_all(
    lab: Lab,
    hosts: Sequence[HostSpec],
    steps: Sequence[Step],
    parts: dict[str, Path],
    task: Callable[[HostSpec], str],
    at_once: int = HOSTS_AT_ONCE,
) -> int:
    """Bring every host to what the steps want and return how many changes were made; the first error is raised."""
    stop = Event()

    def work(host: HostSpec) -> int:
        return converge(lab.runner(host), steps, lab.node(host, parts), lab.reporter, task(host), stop.is_set)

    return sum(for_each(hosts, work, at_once=at_once, stop=stop))
