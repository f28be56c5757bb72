"""A control plane's own kubectl, so that an operator needs no way to the API but the hands on that host."""

from __future__ import annotations

import json
from typing import Any

from kubelab_helpers.cluster.health import ApiError
from kubelab_helpers.cluster.kubeadm import ADMIN_KUBECONFIG
from kubelab_helpers.cluster.network import KUBECTL
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import Runner

CACHE = "/run/kubelab/kubectl"
"""Not below root's home, where it would stay after a reset."""


def kubectl(
    *arguments: str, timeout_seconds: float, request: str | None = "10s", stdin: bytes | None = None
) -> Command:
    """Return the command; `request` limits each single request, None for commands that wait or watch."""
    limit = (f"--request-timeout={request}",) if request else ()
    argv = (KUBECTL, f"--kubeconfig={ADMIN_KUBECONFIG}", f"--cache-dir={CACHE}", *limit, *arguments)
    return Command(argv, stdin=stdin, timeout_seconds=timeout_seconds)


def read_items(acting: Runner, *what: str) -> list[dict[str, Any]]:
    """Return the objects of a `kubectl get`; ApiError when the API server does not answer."""
    answer = acting.run(kubectl("get", *what, "--output=json", timeout_seconds=30))
    if answer.status != 0:
        raise ApiError(f"{acting.name}: the API server does not answer: {answer.error_text.strip()}")
    items: list[dict[str, Any]] = json.loads(answer.text)["items"]
    return items


def apply(acting: Runner, manifest: bytes) -> None:
    """Apply a manifest; CommandError says what the API does not take."""
    acting.check(kubectl("apply", "--server-side", "--filename=-", stdin=manifest, timeout_seconds=60, request="30s"))
