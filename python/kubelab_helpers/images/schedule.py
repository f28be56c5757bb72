"""In which order builds run, and how many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, TypeVar

from kubelab_helpers.errors import KubelabError

if TYPE_CHECKING:
    from docker import DockerClient

MIB = 1 << 20
BUILD_MEMORY_MIB = 1024
"""What one build is taken to need at its peak: a resolver with the wheels of pandas, or npm, and the step's page cache.

An assumption on the safe side, not a measurement. To measure it: the highest `memory.peak` (cgroup v1:
`memory.max_usage_in_bytes`) of the groups that the engine makes for RUN steps, below `docker/buildkit` or
`system.slice`, while one image is built with --jobs 1.
"""
SPARE_MIB = 1024
"""What is left to the machine and to the engine itself."""

T = TypeVar("T")


def read_capacity(engine: DockerClient) -> tuple[int, int]:
    """Return the CPUs and the bytes of free memory that builds have; the engine's machine may be smaller than this."""
    import psutil

    found = engine.info()
    return found["NCPU"], min(psutil.virtual_memory().available, found["MemTotal"])


def decide_jobs(images: int, cpus: int, available_bytes: int, asked: int | None = None) -> int:
    """Return how many of `images` builds run at once: as many as were asked for, else as CPUs and free memory carry."""
    carried = min(cpus, (available_bytes // MIB - SPARE_MIB) // BUILD_MEMORY_MIB)
    return max(1, min(images, carried if asked is None else asked))


def run_in_order(
    needs: Mapping[str, Collection[str]], work: Callable[[str], T], *, jobs: int, end: Callable[[], None]
) -> tuple[dict[str, T], dict[str, KubelabError]]:
    """Do the work of every name once that of all it needs is done, `jobs` at a time; return results and errors by name.

    After an error nothing begins any more, and what runs comes to its end: a name in neither was not begun. Anything
    else that is raised, a Ctrl-C too, calls `end`, which ends what runs.
    """
    order = TopologicalSorter(needs)
    order.prepare()
    done: dict[str, T] = {}
    failed: dict[str, KubelabError] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting: dict[Future[T], str] = {}
        try:
            while order.is_active() and not (failed and not waiting):
                if not failed:
                    waiting |= {pool.submit(work, name): name for name in order.get_ready()}
                ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ended:
                    name = waiting.pop(future)
                    try:
                        done[name] = future.result()
                        order.done(name)
                    except KubelabError as error:
                        failed[name] = error
                if failed:
                    waiting = {future: name for future, name in waiting.items() if not future.cancel()}
        except BaseException:
            for future in waiting:
                future.cancel()
            end()
            raise
    return done, failed
