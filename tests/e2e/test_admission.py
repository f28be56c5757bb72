"""What the admission policy refuses, asked of the API server by dry runs, with the namespace's own label taken away."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from kubelab_helpers.release.deploy import NAMESPACE, RELEASE, RESTRICTED

from .hub import HubSession
from .lab import Lab
from .pods import find_server
from .waiting import wait_until

USER = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": "singleuser-server"}
POD: dict[str, Any] = {
    "metadata": {"name": "refused", "labels": USER},
    "spec": {
        "serviceAccountName": "default",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "server",
                "image": "registry.example/none:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
CONTAINER = ("spec", "containers", 0)
WRONG: list[tuple[str, tuple[Any, ...], Any]] = [
    ("shares no namespace", ("spec", "hostNetwork"), True),
    ("shares no namespace", ("spec", "hostPID"), True),
    ("mounts no folder", ("spec", "volumes"), [{"name": "root", "hostPath": {"path": "/"}}]),
    ("takes no port", (*CONTAINER, "ports"), [{"containerPort": 80, "hostPort": 80}]),
    ("and is not privileged", (*CONTAINER, "securityContext", "allowPrivilegeEscalation"), True),
    (
        "and is not privileged",
        (*CONTAINER, "securityContext"),
        {"privileged": True, "allowPrivilegeEscalation": True, "capabilities": {"drop": ["ALL"]}},
    ),
    ("does not run as root", ("spec", "securityContext", "runAsUser"), 0),
    ("does not run as root", (*CONTAINER, "securityContext", "runAsUser"), 0),
    (
        "what the cluster keeps",
        ("spec", "volumes"),
        [{"name": "other", "nfs": {"server": "192.0.2.1", "path": "/"}}],
    ),
    (
        "drops all capabilities",
        (*CONTAINER, "securityContext", "capabilities"),
        {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
    ),
    ("drops all capabilities", (*CONTAINER, "securityContext", "capabilities"), {}),
    ("runAsNonRoot", ("spec", "securityContext", "runAsNonRoot"), False),
    ("runAsNonRoot", (*CONTAINER, "securityContext", "runAsNonRoot"), False),
    ("seccomp profile", ("spec", "securityContext", "seccompProfile"), {"type": "Unconfined"}),
    ("no account's token", ("spec", "automountServiceAccountToken"), True),
    (
        "no account's token",
        ("spec", "volumes"),
        [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
    ),
    ("and is not privileged", ("spec", "initContainers"), [{"name": "before", "image": "registry.example/none:1"}]),
]


def changed(keys: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The pod with one thing that is wrong."""
    pod = copy.deepcopy(POD)
    node: Any = pod
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    return pod


def ask(lab: Lab, pod: dict[str, Any], namespace: str = NAMESPACE) -> str:
    """Return why the API server would refuse a pod, or nothing."""
    try:
        lab.core.create_namespaced_pod(namespace, pod, dry_run="All")
    except ApiException as error:
        return str(error.body)
    return ""


@pytest.fixture(scope="module", autouse=True)
def plain_namespace(lab: Lab) -> Iterator[None]:
    """Leave the namespace as plain Helm makes it, without the label of the Pod Security Standard."""
    lab.core.patch_namespace(NAMESPACE, {"metadata": {"labels": dict.fromkeys(RESTRICTED)}})
    try:
        wait_until(
            "the label is gone", lambda: "Security" not in ask(lab, changed(("spec", "hostPID"), value=True)), 30
        )
        yield
    finally:
        lab.core.patch_namespace(NAMESPACE, {"metadata": {"labels": RESTRICTED}})


@pytest.mark.parametrize(("message", "keys", "value"), WRONG, ids=[str(keys[-1]) for _, keys, _ in WRONG])
def test_what_is_not_restricted_is_refused(lab: Lab, message: str, keys: tuple[Any, ...], value: Any) -> None:
    assert message in ask(lab, changed(keys, value))


def test_what_is_restricted_is_let_through(lab: Lab, ada: HubSession) -> None:
    """The same pod without the fault; and a real server is running."""
    assert ask(lab, POD) == ""
    assert find_server(lab, ada.name).address


def test_what_the_hub_makes_is_looked_at_whatever_its_labels_are(lab: Lab) -> None:
    """Labels are the maker's own; the account is not."""
    pod = changed(("spec", "hostPID"), value=True)
    pod["metadata"]["labels"] = {"app": "other"}
    hub = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-hub"
    lab.api.set_default_header("Impersonate-User", hub)
    try:
        assert "shares no namespace" in ask(lab, pod)
    finally:
        del lab.api.default_headers["Impersonate-User"]


def test_pods_of_others_are_none_of_its_business(lab: Lab) -> None:
    """Neither in the namespace, without the release's label, nor with it in another namespace."""
    other = changed(("spec", "hostPID"), value=True)
    other["metadata"]["labels"] = {"app": "other"}
    assert ask(lab, other) == ""
    assert ask(lab, changed(("spec", "hostPID"), value=True), "default") == ""
