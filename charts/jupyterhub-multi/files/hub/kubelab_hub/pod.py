"""The pod of a user's server: what it may not do, what is in it besides the server, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubelab_hub.settings import Settings


def configure_pod(c: Any, settings: Settings) -> None:
    """Set KubeSpawner's traits that describe the pod, from the values."""
    singleuser = settings["singleuser"]
    c.KubeSpawner.pod_name_template = singleuser["podNameTemplate"]
    c.KubeSpawner.events_enabled = singleuser["events"]
    c.KubeSpawner.extra_labels = {**singleuser["extraLabels"], "app.kubernetes.io/instance": settings["instance"]}
    c.KubeSpawner.extra_annotations = singleuser["extraAnnotations"]
    c.KubeSpawner.init_containers = singleuser["initContainers"]
    c.KubeSpawner.extra_containers = singleuser["extraContainers"]
    # With service links every Service of the namespace becomes seven environment variables.
    c.KubeSpawner.extra_pod_config = {"enableServiceLinks": False, **singleuser["extraPodConfig"]}
    restrict(c, singleuser)
    place(c, singleuser)


def restrict(c: Any, singleuser: Mapping[str, Any]) -> None:
    """Keep the pod to the Pod Security Standard `restricted`, and away from the API server."""
    c.KubeSpawner.service_account = singleuser["serviceAccountName"]
    c.KubeSpawner.automount_service_account_token = False
    c.KubeSpawner.uid = singleuser["uid"]
    c.KubeSpawner.gid = singleuser["fsGid"]
    c.KubeSpawner.fs_gid = singleuser["fsGid"]
    c.KubeSpawner.allow_privilege_escalation = False
    c.KubeSpawner.pod_security_context = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        # A home with many files would otherwise be walked through at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
    }
    c.KubeSpawner.container_security_context = {
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": singleuser["readOnlyRootFilesystem"],
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def place(c: Any, singleuser: Mapping[str, Any]) -> None:
    """Say on which nodes the pod may run, and what it may push away."""
    c.KubeSpawner.node_selector = singleuser["nodeSelector"]
    c.KubeSpawner.tolerations = singleuser["extraTolerations"]
    c.KubeSpawner.priority_class_name = singleuser.get("priorityClassName", "")
    for key, trait in (
        ("extraNodeAffinity", "node_affinity"),
        ("extraPodAffinity", "pod_affinity"),
        ("extraPodAntiAffinity", "pod_anti_affinity"),
    ):
        for kind in ("required", "preferred"):
            c.KubeSpawner[f"{trait}_{kind}"] = singleuser[key].get(kind, [])
