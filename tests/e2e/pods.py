"""Pods of a test's own namespace, held to the restricted standard, from the hub's image: it has Python, and is here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.release.deploy import NAMESPACE, RESTRICTED

from .lab import Lab
from .waiting import wait_until

PORT = 8080
START_TIMEOUT_SECONDS = 120.0
NAMESPACE_TIMEOUT_SECONDS = 90.0
# Answers every connection with the pod's own name.
SERVE = """
import os, socket
listener = socket.create_server(("", 8080))
while True:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(os.environ["HOSTNAME"].encode())
"""
CONNECT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2) as connection:
        print("open", end="")
except ConnectionRefusedError:
    print("refused", end="")
except TimeoutError:
    print("timeout", end="")
"""
READ = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as connection:
    print(connection.recv(1024).decode(), end="")
"""
RESOLVE = "import socket, sys; print(socket.gethostbyname(sys.argv[1]), end='')"
RESTRICTED_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Pod:
    """A pod with Python in it, whoever made it."""

    core: Any
    namespace: str
    name: str
    address: str

    def python(self, code: str, *arguments: str) -> str:
        """Run Python code in the pod's first container and return what it printed, errors included."""
        return str(
            stream(
                self.core.connect_get_namespaced_pod_exec,
                self.name,
                self.namespace,
                command=["python3", "-c", code, *arguments],
                stdout=True,
                stderr=True,
                _request_timeout=30,
            )
        )

    def connect(self, address: str, port: int = PORT) -> str:
        """Try to connect by TCP: `open`, `refused`, or `timeout` after 2 s."""
        return self.python(CONNECT, address, str(port))

    def read(self, address: str, port: int = PORT) -> str:
        """Return what a server of ours says: the name of its pod."""
        return self.python(READ, address, str(port))

    def resolve(self, name: str) -> str:
        """Return the address of a DNS name, as the pod sees it."""
        return self.python(RESOLVE, name)


class Playground:
    """A namespace of a test's own."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.core = lab.core

    def start(self, *pods: Mapping[str, Any]) -> list[Pod]:
        """Make pods, and return them when all of them run and answer."""
        for pod in pods:
            self.core.create_namespaced_pod(self.name, pod)
        names = [pod["metadata"]["name"] for pod in pods]
        return [self._wait_until_ready(name) for name in names]

    def _wait_until_ready(self, name: str) -> Pod:
        def read_ready() -> Any:
            status = self.core.read_namespaced_pod(name, self.name).status
            ready = any(each.type == "Ready" and each.status == "True" for each in status.conditions or [])
            return status if ready else None

        status = wait_until(f"pod {name} is ready", read_ready, START_TIMEOUT_SECONDS)
        return Pod(self.core, self.name, name, status.pod_ip)

    def expose(self, pod: Pod, name: str) -> Any:
        """Make a Service on a port of every node in front of a pod and return it."""
        spec = {"type": "NodePort", "selector": {"app": pod.name}, "ports": [{"port": 80, "targetPort": PORT}]}
        return self.core.create_namespaced_service(self.name, {"metadata": {"name": name}, "spec": spec})

    def forbid(self, name: str, spec: Mapping[str, Any]) -> None:
        """Make a NetworkPolicy."""
        self.lab.networking.create_namespaced_network_policy(self.name, {"metadata": {"name": name}, "spec": spec})

    def allow_again(self, name: str) -> None:
        """Remove a NetworkPolicy."""
        self.lab.networking.delete_namespaced_network_policy(name, self.name)


@contextmanager
def open_playground(lab: Lab) -> Iterator[Playground]:
    """Make a namespace, give it, and remove it with everything in it."""
    name = f"kubelab-e2e-{secrets.token_hex(3)}"
    lab.core.create_namespace({"metadata": {"name": name, "labels": RESTRICTED}})
    try:
        yield Playground(lab, name)
    finally:
        lab.core.delete_namespace(name)
        wait_until(f"namespace {name} is removed", lambda: not _exists(lab, name), NAMESPACE_TIMEOUT_SECONDS)


def describe_pod(lab: Lab, name: str, host: HostSpec) -> dict[str, Any]:
    """Return a pod for one node, the control plane included, that serves its name on port 8080."""
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "nodeName": host.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "python",
                    "image": _hub_image(lab),
                    "command": ["python3", "-c", SERVE],
                    "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                    "securityContext": RESTRICTED_CONTEXT,
                }
            ],
        },
    }


def find_pod(lab: Lab, labels: Mapping[str, str]) -> Pod:
    """Return the one running pod of the hub's namespace with these labels."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods: Sequence[Any] = lab.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items
    running = [pod for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]
    assert len(running) == 1, f"{len(running)} running pods have {selector}"
    return Pod(lab.core, NAMESPACE, running[0].metadata.name, running[0].status.pod_ip)


def find_server(lab: Lab, user: str) -> Pod:
    """Return the pod of a user's server."""
    pods = lab.core.list_namespaced_pod(NAMESPACE, label_selector="component=singleuser-server").items
    owned = [pod for pod in pods if (pod.metadata.annotations or {}).get("hub.jupyter.org/username") == user]
    assert len(owned) == 1, f"{user} has {len(owned)} servers"
    return Pod(lab.core, NAMESPACE, owned[0].metadata.name, owned[0].status.pod_ip)


def _hub_image(lab: Lab) -> str:
    hub = lab.apps.list_namespaced_deployment(NAMESPACE, label_selector="app.kubernetes.io/component=hub")
    return str(hub.items[0].spec.template.spec.containers[0].image)


def _exists(lab: Lab, namespace: str) -> bool:
    try:
        lab.core.read_namespace(namespace)
    except ApiException as error:
        if error.status != 404:
            raise
        return False
    return True
