"""Pods that stand in for users' servers and for a stranger, while a release's connections are tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kubelab_helpers.cluster.health import is_pod_ready, wait_until_none
from kubelab_helpers.release.deploy import COMPONENT, NAMESPACE, RELEASE, RESTRICTED
from kubelab_helpers.release.reach import SERVER_PORT, STRANGER_PORT

START_SECONDS = 120.0
CHECK = f"{RELEASE}-policy-check"
STRANGERS = f"{NAMESPACE}-policy-check"
SERVER, NEIGHBOUR, STRANGER = f"{CHECK}-server", f"{CHECK}-neighbour", "stranger"
INSTANCE = "app.kubernetes.io/instance"
SERVE = """
import socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
while True:
    listener.accept()[0].close()
"""


@contextmanager
def stand_ins(core: Any, hub: Any) -> Iterator[dict[str, str]]:
    """Make the pods and return their addresses by name; they are gone afterwards, whatever happened."""
    user = {INSTANCE: RELEASE, COMPONENT: "singleuser-server"}
    wanted = [
        (NAMESPACE, _describe(SERVER, user, SERVER_PORT, hub)),
        (NAMESPACE, _describe(NEIGHBOUR, user, SERVER_PORT, hub)),
        (STRANGERS, _describe(STRANGER, {"app": CHECK}, STRANGER_PORT, hub)),
    ]
    _remove(core)
    try:
        core.create_namespace({"metadata": {"name": STRANGERS, "labels": RESTRICTED}})
        _copy_pull_secrets(core, hub)
        for namespace, pod in wanted:
            core.create_namespaced_pod(namespace, pod)
        names = [(namespace, pod["metadata"]["name"]) for namespace, pod in wanted]
        yield _wait_until_running(core, names)
    finally:
        _remove(core)


def _copy_pull_secrets(core: Any, hub: Any) -> None:
    """Let the stranger's namespace pull the hub's image too."""
    for reference in hub.spec.image_pull_secrets or ():
        secret = core.read_namespaced_secret(reference.name, NAMESPACE)
        body = {"metadata": {"name": reference.name}, "type": secret.type, "data": secret.data}
        core.create_namespaced_secret(STRANGERS, body)


def _describe(name: str, labels: Mapping[str, str], port: int, hub: Any) -> dict[str, Any]:
    """Return a pod of the hub's image that listens on a port."""
    container = next(each for each in hub.spec.containers if each.name == "hub")
    return {
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "imagePullSecrets": [{"name": each.name} for each in hub.spec.image_pull_secrets or ()],
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "stand-in",
                    "image": container.image,
                    "command": ["python3", "-c", SERVE, str(port)],
                    "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"cpu": "500m", "memory": "64Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                }
            ],
        },
    }


def _wait_until_running(core: Any, names: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, Any] = {}

    def missing() -> str:
        found.update({name: core.read_namespaced_pod(name, namespace) for namespace, name in names})
        return "; ".join(f"{name} is {pod.status.phase}" for name, pod in found.items() if not is_pod_ready(pod))

    wait_until_none(missing, START_SECONDS, "the pods that stand in")
    return {name: pod.status.pod_ip for name, pod in found.items()}


def _remove(core: Any) -> None:
    from kubernetes.client.exceptions import ApiException

    def delete(call: Any, *arguments: str) -> None:
        try:
            call(*arguments, grace_period_seconds=0)
        except ApiException as error:
            if error.status != 404:
                raise

    for name in (SERVER, NEIGHBOUR):
        delete(core.delete_namespaced_pod, name, NAMESPACE)
    delete(core.delete_namespace, STRANGERS)

    def left() -> str:
        pods = core.list_namespaced_pod(NAMESPACE).items
        names = [each.metadata.name for each in pods if each.metadata.name in {SERVER, NEIGHBOUR}]
        names += [each.metadata.name for each in core.list_namespace().items if each.metadata.name == STRANGERS]
        return f"{', '.join(names)} will not go" if names else ""

    wait_until_none(left, START_SECONDS, "the pods that stand in")
