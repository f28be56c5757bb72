"""Containers of the built images: run one program to its end, or hold a server while a test talks to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests

from kubelab_helpers.images.trial import DEADLINE_SECONDS, as_pod, read_logs, run_program

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

__all__ = ["as_pod", "published_address", "require_output", "run_program", "running", "wait_until_answer"]


def require_output(client: DockerClient, reference: str, argv: Sequence[str], **options: Any) -> str:
    """Return what a program wrote, without surrounding space; it must end with 0."""
    run = run_program(client, reference, argv, **options)
    assert run.status == 0, f"{reference}: {argv[0]} ended with {run.status}:\n{run.output}{run.errors}"
    return run.output.strip()


@contextmanager
def running(
    client: DockerClient, reference: str, argv: Sequence[str] | None = None, **options: Any
) -> Iterator[Container]:
    """Hold a container for the time of the block."""
    container = client.containers.create(reference, list(argv) if argv else None, **options)
    try:
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def published_address(container: Container, port: int) -> str:
    """Return the http address on this machine of a container's published port."""
    container.reload()
    bindings = container.ports[f"{port}/tcp"]
    assert bindings, f"port {port} is not published"
    return f"http://127.0.0.1:{bindings[0]['HostPort']}"


def wait_until_answer(
    container: Container, url: str, headers: Mapping[str, str] | None = None, status: int = 200
) -> requests.Response:
    """Ask until the answer has that status; fail with the container's log at the deadline, or when it has ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            response = requests.get(url, headers=headers, timeout=5)
            if response.status_code == status:
                return response
            last = f"status {response.status_code}"
        except requests.RequestException as error:
            last = str(error)
        container.reload()
        if container.status == "exited":
            break
        time.sleep(0.02)
    raise AssertionError(f"{url}: {last}\n{read_logs(container)}")
