"""How a cluster is, asked of its own API; and waiting, with a deadline, until it is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubelab_helpers.cluster.kubeadm import ADMIN_KUBECONFIG
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import Runner

READY_TIMEOUT_SECONDS = 180.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class NodeHealth:
    """One node as the API server has it."""

    name: str
    ready: bool
    version: str
    address: str


class ApiError(KubelabError):
    """The API server did not answer, or refused."""


@contextmanager
def api_client(kubeconfig: Path) -> Iterator[Any]:
    """Open a Kubernetes API client; BlockedError when there is no way into a cluster, ApiError when it is of no use."""
    from kubernetes import client, config
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    if not kubeconfig.exists():
        raise BlockedError("there is no cluster here yet", next_step="run `kubelab up` (or `make up`)")
    configuration = client.Configuration()
    load: Any = config.load_kube_config  # it carries no types
    load(str(kubeconfig), client_configuration=configuration)
    configuration.retries = False
    try:
        with client.ApiClient(configuration) as api:
            yield api
    except ApiException as error:
        raise ApiError(f"the API server at {configuration.host} says {error.status} {error.reason}") from error
    except HTTPError as error:
        raise ApiError(
            f"the API server at {configuration.host} does not answer ({type(error).__name__})",
            next_step="`kubelab up` starts what does not run",
        ) from error


def write_kubeconfig(control_plane: Runner, target: Path, server: str) -> None:
    """Keep the admin's kubeconfig, led to the API's address as this machine has it, at mode 0600."""
    text = control_plane.check(Command(("cat", ADMIN_KUBECONFIG))).text
    document = yaml.safe_load(text)
    for entry in document["clusters"]:
        entry["cluster"]["server"] = server
    content = yaml.safe_dump(document)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_text() != content:
        write_private(target, content)


def write_private(target: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.touch(mode=0o600)
    partial.chmod(0o600)
    partial.write_text(content)
    partial.replace(target)


def read_nodes(kubeconfig: Path) -> list[NodeHealth]:
    """Return the cluster's nodes."""
    from kubernetes import client

    with api_client(kubeconfig) as api:
        # Its types allow for an object without metadata or status; what a server lists has both.
        items: list[Any] = client.CoreV1Api(api).list_node(_request_timeout=10).items
    return [
        NodeHealth(
            name=item.metadata.name,
            ready=any(each.type == "Ready" and each.status == "True" for each in item.status.conditions or ()),
            version=item.status.node_info.kubelet_version,
            address=next((each.address for each in item.status.addresses if each.type == "InternalIP"), ""),
        )
        for item in items
    ]


def wait_until_nodes_ready(kubeconfig: Path, names: Sequence[str]) -> float:
    """Wait until every named node is Ready, and DNS and the policy engine are; return the seconds waited."""
    began = time.monotonic()

    def missing() -> str:
        ready = {node.name for node in read_nodes(kubeconfig) if node.ready}
        absent = [f"node {name} is not Ready" for name in names if name not in ready]
        absent += _find_unready(kubeconfig, "kube-system", "k8s-app=kube-dns", at_least=1)
        absent += _find_unready(kubeconfig, "kubelab-network", "app.kubernetes.io/name=network", at_least=len(names))
        return "; ".join(absent)

    wait_until_none(missing, READY_TIMEOUT_SECONDS, "the cluster")
    return time.monotonic() - began


def wait_until_none(missing: Callable[[], str], timeout_seconds: float, what: str) -> None:
    """Wait until `missing` returns an empty text; KubelabError with its last words past the deadline.

    An API that does not answer for a moment (it restarts when its certificates or flags change) is asked again.
    """
    deadline = time.monotonic() + timeout_seconds
    last = "nothing was heard"
    while time.monotonic() < deadline:
        try:
            last = missing()
        except ApiError as error:
            last = error.what
        if not last:
            return
        time.sleep(POLL_SECONDS)
    raise KubelabError(
        f"{what} did not become healthy within {timeout_seconds:g} s: {last}",
        next_step="`kubelab status` shows more; the same command waits again",
    )


def _find_unready(kubeconfig: Path, namespace: str, selector: str, at_least: int) -> list[str]:
    from kubernetes import client

    with api_client(kubeconfig) as api:
        pods = client.CoreV1Api(api).list_namespaced_pod(namespace, label_selector=selector, _request_timeout=10).items
    ready = [pod for pod in pods if is_pod_ready(pod)]
    return [] if len(ready) >= at_least else [f"{len(ready)} of {at_least} pods {selector} are ready"]


def is_pod_ready(pod: Any) -> bool:
    """Return whether a pod of the API has its Ready condition."""
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())
