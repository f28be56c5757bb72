"""Asking again and again while something is changed, so that whoever was cut off is seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event, Thread

import requests

PAUSE_SECONDS = 0.2


@dataclass
class Watch:
    """When answers came (seconds of a monotonic clock), and what was said instead of an answer."""

    answered: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def longest_gap_seconds(self) -> float:
        """The longest time without an answer, to the end of the watch."""
        return max(later - earlier for earlier, later in pairwise(self.answered))


@contextmanager
def keep_asking(ask: Callable[[], requests.Response]) -> Iterator[Watch]:
    """Ask five times a second until the block ends; any status of 400 or more is a failure."""
    watch, ended = Watch([time.monotonic()]), Event()

    def run() -> None:
        while not ended.wait(PAUSE_SECONDS):
            try:
                ask().raise_for_status()
            except requests.RequestException as error:
                watch.failures.append(str(error))
            else:
                watch.answered.append(time.monotonic())

    thread = Thread(target=run)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
        watch.answered.append(time.monotonic())
