"""Where a user's files are: a claim for each server, a folder in one claim, or nowhere; and what else is mounted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubelab_hub.settings import Settings

TMP_VOLUME = "tmp"


def configure_home(c: Any, settings: Settings) -> None:
    """Mount the home, /tmp and the operator's own volumes."""
    storage = settings["singleuser"]["storage"]
    kind = storage["type"]
    c.KubeSpawner.storage_pvc_ensure = kind == "dynamic"
    if kind == "dynamic":
        configure_claim(c, storage, settings["instance"])
    home_volumes, home_mounts = make_home(storage)
    temporary = {"name": TMP_VOLUME, "emptyDir": make_tmp(storage)}
    c.KubeSpawner.volumes = [*home_volumes, temporary, *storage["extraVolumes"]]
    mounted = {"name": TMP_VOLUME, "mountPath": "/tmp"}  # noqa: S108  # the pod's own
    c.KubeSpawner.volume_mounts = [*home_mounts, mounted, *storage["extraVolumeMounts"]]


def configure_claim(c: Any, storage: Mapping[str, Any], instance: str) -> None:
    """Give each server a claim under KubeSpawner's safe slug, remembered so that a renaming loses no home."""
    dynamic = storage["dynamic"]
    c.KubeSpawner.pvc_name_template = dynamic["pvcNameTemplate"]
    c.KubeSpawner.storage_capacity = storage["capacity"]
    c.KubeSpawner.storage_access_modes = dynamic["storageAccessModes"]
    c.KubeSpawner.storage_extra_labels = {"app.kubernetes.io/instance": instance, **storage["extraLabels"]}
    if dynamic["storageClass"]:
        c.KubeSpawner.storage_class = dynamic["storageClass"]


def make_home(storage: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the home's volume and its mount; without a home that stays, a volume that goes with the server."""
    name = storage["dynamic"]["volumeNameTemplate"]
    mount: dict[str, Any] = {"name": name, "mountPath": storage["homeMountPath"]}
    source: dict[str, Any]
    if storage["type"] == "none":
        source = {"emptyDir": {}}
    elif storage["type"] == "static":
        source = {"persistentVolumeClaim": {"claimName": storage["static"]["pvcName"]}}
        mount["subPath"] = storage["static"]["subPath"]
    else:
        source = {"persistentVolumeClaim": {"claimName": "{pvc_name}"}}
        if path := storage["dynamic"].get("subPath"):
            mount["subPath"] = path
    return [{"name": name, **source}], [mount]


def make_tmp(storage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the volume of /tmp; without a limit it may take what the node has."""
    limit = storage["tmp"].get("sizeLimit")
    return {"sizeLimit": limit} if limit else {}
