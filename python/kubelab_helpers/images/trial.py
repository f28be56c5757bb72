"""A program run in a container of an image as a pod would run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab_helpers.errors import KubelabError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

DEADLINE_SECONDS = 120.0
HOME = "/home/jovyan"


@dataclass(frozen=True)
class Run:
    """How a program in a container ended."""

    status: int
    output: str
    errors: str


def as_pod(user: str = "1000:100", home: str | None = HOME) -> dict[str, Any]:
    """Return docker options for what a pod gives: no rights, a read-only root, an empty home and a /tmp."""
    identity = dict(zip(("uid", "gid"), user.split(":"), strict=True))
    empty_home = {home: f"mode=0755,uid={identity['uid']},gid={identity['gid']}"} if home else {}
    return {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": "mode=1777,exec", **empty_home},  # noqa: S108  a mount in the container
        "user": user,
    }


def run_program(engine: DockerClient, reference: str, argv: Sequence[str], **options: Any) -> Run:
    """Run a program in a new container to its end, without a network unless the options name one.

    KubelabError if it cannot be started, or is not done within DEADLINE_SECONDS.
    """
    import requests
    from docker.errors import APIError

    container = engine.containers.create(reference, list(argv), **{"network_mode": "none", **options})
    try:
        container.start()
        status = container.wait(timeout=DEADLINE_SECONDS)["StatusCode"]
        return Run(status, read_logs(container, stderr=False), read_logs(container, stdout=False))
    except APIError as error:
        raise KubelabError(f"{argv[0]} could not be started in {reference}: {error.explanation}") from error
    except requests.RequestException as error:
        raise KubelabError(f"{argv[0]} in {reference} was not done after {DEADLINE_SECONDS:g} s") from error
    finally:
        container.remove(force=True, v=True)


def read_logs(container: Container, *, stdout: bool = True, stderr: bool = True) -> str:
    """Return what a container wrote so far."""
    return bytes(container.logs(stdout=stdout, stderr=stderr)).decode(errors="replace")
