"""Waiting for a condition with a deadline, never for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

Found = TypeVar("Found")


def wait_until(what: str, probe: Callable[[], Found], timeout_seconds: float, poll_seconds: float = 0.2) -> Found:
    """Return what `probe` gives as soon as it is true; fail with `what` and its last answer after the deadline."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {timeout_seconds:.0f} s still not: {what} (last answer: {found!r})")
        time.sleep(poll_seconds)
    return found
