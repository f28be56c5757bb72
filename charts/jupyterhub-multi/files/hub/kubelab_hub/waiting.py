"""Shorter waits between two looks at a starting server."""

from __future__ import annotations

import functools

import jupyterhub.utils
import kubespawner.spawner

MAX_WAIT_SECONDS = 0.25


def shorten_waits() -> None:
    """Look at least every quarter of a second whether a pod runs and whether its server answers.

    JupyterHub 6.1.1 waits up to 5 s between two looks (`exponential_backoff(max_wait=5)`), and no trait sets
    it, so a server that starts in four seconds is seen seconds later. KubeSpawner 7.1.0 has its own copy.
    """
    patient = jupyterhub.utils.exponential_backoff
    for module in (jupyterhub.utils, kubespawner.spawner):
        module.exponential_backoff = functools.partial(patient, start_wait=0.1, max_wait=MAX_WAIT_SECONDS)
