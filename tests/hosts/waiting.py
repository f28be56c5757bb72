"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until a condition holds and return the seconds that took; AssertionError past the deadline."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"within {seconds:g} s not so: {what}"
        time.sleep(0.2)
    return time.monotonic() - began
