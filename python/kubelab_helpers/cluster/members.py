"""The cluster's nodes as a control plane has them: listed, waited for, drained, removed.

Everything is asked with the control plane's own kubectl (`cluster.kubectl`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kubelab_helpers.cluster.health import ApiError, wait_until_none
from kubelab_helpers.cluster.kubectl import kubectl, read_items
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.spec import Role

READY_TIMEOUT_SECONDS = 180.0
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
OWN_API = "https://127.0.0.1:6443"
HELD = "kubelab.io/held-for-upgrade"
"""The annotation that says whose the cordon is: a node that its owner cordoned stays so."""


@dataclass(frozen=True)
class Member:
    """One node as the API server has it."""

    name: str
    role: Role
    ready: bool
    schedulable: bool
    version: str
    address: str
    held: bool = False
    """Whether kubelab has cordoned it for an upgrade that has not ended."""


def find_acting(control_planes: Sequence[Runner]) -> Runner:
    """Return the first control plane whose own API server answers; BlockedError says why none does."""
    reasons = []
    for runner in control_planes:
        try:
            asked = runner.run(kubectl("get", "--raw=/readyz", f"--server={OWN_API}", timeout_seconds=30))
        except KubelabError as error:
            reasons.append(error.what)
            continue
        if asked.status == 0:
            return runner
        reasons.append(f"{runner.name}: {asked.error_text.strip() or 'its API server is not ready'}")
    raise BlockedError(
        "no control plane answers\n" + "\n".join(reasons),
        next_step="`kubelab cluster apply` makes the cluster, or goes on with it",
    )


def read_members(acting: Runner) -> list[Member]:
    """Return the cluster's nodes; ApiError when the API server does not answer."""
    return [_member(item) for item in read_items(acting, "nodes")]


def read_configuration(acting: Runner) -> dict[str, Any]:
    """Return the cluster's kubeadm ClusterConfiguration; ApiError when the API server does not answer.

    https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/#kubeadm-k8s-io-v1beta4-ClusterConfiguration
    """
    import yaml

    selector = ("--namespace=kube-system", "--field-selector=metadata.name=kubeadm-config")
    found = read_items(acting, "configmaps", *selector)
    if not found:
        raise BlockedError(
            "the cluster was not made by kubeadm: kube-system has no ConfigMap kubeadm-config",
            next_step="use the tool that made it",
        )
    configuration: dict[str, Any] = yaml.safe_load(found[0]["data"]["ClusterConfiguration"])
    return configuration


def read_api_servers(acting: Runner) -> dict[str, str]:
    """Return each API server's version, like 1.37.2, by its node: what kubelet was told to run there."""
    pods = read_items(acting, "pods", "--namespace=kube-system", "--selector=component=kube-apiserver")
    return {
        pod["spec"]["nodeName"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2].removeprefix("v")
        for pod in pods
    }


def find_bare_pods(acting: Runner, nodes: Collection[str]) -> list[str]:
    """Return `namespace/pod on node` of pods that run on these nodes and that nothing starts anew elsewhere."""
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']} on {pod['spec']['nodeName']}"
        for pod in read_items(acting, "pods", "--all-namespaces")
        if pod["spec"].get("nodeName") in nodes
        and not pod["metadata"].get("ownerReferences")
        and pod["status"].get("phase") not in {"Succeeded", "Failed"}
    ]


def wait_until_ready(find: Callable[[], Runner], names: Sequence[str]) -> None:
    """Wait until every named node is Ready, and DNS and the network's pods are; `find` returns a control plane."""

    def missing() -> str:
        acting = find()
        ready = {member.name for member in read_members(acting) if member.ready}
        absent = [f"node {name} is not Ready" for name in names if name not in ready]
        absent += _find_unready(acting, "kube-system", "k8s-app=kube-dns", at_least=1)
        absent += _find_unready(acting, "kubelab-network", "app.kubernetes.io/name=network", at_least=len(names))
        return "; ".join(absent)

    wait_until_none(missing, READY_TIMEOUT_SECONDS, "the cluster")


def spread_dns(acting: Runner) -> bool:
    """Start DNS's pods anew if all are on one node, as they are when they began before there was another.

    Their anti-affinity counts only when they are placed. Returns whether they were started anew.
    """
    pods = read_items(acting, "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")
    if len(pods) < 2 or len({pod["spec"].get("nodeName") for pod in pods}) > 1:
        return False
    deployment = ("deployment/coredns", "--namespace=kube-system")
    acting.check(kubectl("rollout", "restart", *deployment, timeout_seconds=30))
    status = ("rollout", "status", *deployment, f"--timeout={READY_TIMEOUT_SECONDS:.0f}s")
    acting.check(kubectl(*status, timeout_seconds=READY_TIMEOUT_SECONDS + 30, request=None))
    return True


def hold(acting: Runner, name: str) -> None:
    """Say that the cordon which a drain is about to set is kubelab's own; ApiError when the API does not take it."""
    _write(acting, "annotate", "node", name, f"{HELD}=true", "--overwrite")


def release(acting: Runner, name: str) -> None:
    """Let a held node take pods again; ApiError when the API does not take it, as just after its start."""
    _write(acting, "uncordon", name)
    _write(acting, "annotate", "node", name, f"{HELD}-")


def drain(acting: Runner, name: str, timeout_seconds: float, *, force: bool = False) -> None:
    """Move every pod off a node, as disruption budgets allow; BlockedError past the deadline. It stays cordoned.

    Data in emptyDir volumes goes with the pods. With `force`, pods that nothing starts anew elsewhere (users' servers
    are such) are ended; without it they block the drain.
    """
    arguments: tuple[str, ...] = (
        name,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        f"--timeout={timeout_seconds:.0f}s",
    )
    arguments += ("--force",) if force else ()
    done = acting.run(kubectl("drain", *arguments, timeout_seconds=timeout_seconds + 60, request=None))
    if done.status != 0:
        tail = "\n".join(done.error_text.strip().splitlines()[-8:])
        raise BlockedError(
            f"{name} was not drained within {timeout_seconds:.0f} s; it takes no new pods, nothing is removed\n{tail}",
            next_step="free what is named and run the same command again, "
            f"or take it back into service: kubectl uncordon {name}",
        )


def delete_node(acting: Runner, name: str) -> None:
    """Remove a node from the API, if it is there; its pods go with it."""
    acting.check(kubectl("delete", "node", name, "--ignore-not-found", timeout_seconds=90, request="60s"))


def _member(item: dict[str, Any]) -> Member:
    status = item["status"]
    labels = item["metadata"].get("labels", {})
    annotations = item["metadata"].get("annotations", {})
    return Member(
        name=item["metadata"]["name"],
        role="control-plane" if CONTROL_PLANE_LABEL in labels else "worker",
        ready=_is_ready(item),
        schedulable=not item["spec"].get("unschedulable", False),
        version=status["nodeInfo"]["kubeletVersion"],
        address=next((each["address"] for each in status["addresses"] if each["type"] == "InternalIP"), ""),
        held=HELD in annotations,
    )


def _find_unready(acting: Runner, namespace: str, selector: str, at_least: int) -> list[str]:
    pods = read_items(acting, "pods", f"--namespace={namespace}", f"--selector={selector}")
    ready = sum(_is_ready(pod) for pod in pods)
    return [] if ready >= at_least else [f"{ready} of {at_least} pods {selector} are ready"]


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _write(acting: Runner, *what: str) -> None:
    done = acting.run(kubectl(*what, timeout_seconds=30))
    if done.status != 0:
        raise ApiError(
            f"{acting.name}: the API server refuses: {done.error_text.strip()}", repeat=f"kubectl {' '.join(what)}"
        )
