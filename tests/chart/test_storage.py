"""The classes that claims ask for, and the provisioner that serves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Render


def classes(rendered: Render) -> tuple[str | None, str]:
    """The class of the hub's claim and the one of the homes."""
    claim = rendered.get("PersistentVolumeClaim", "jupyterhub-hub-db")["spec"].get("storageClassName")
    settings = json.loads(rendered.get("ConfigMap", "jupyterhub-hub")["data"]["settings.json"])
    return claim, settings["singleuser"]["storage"]["dynamic"]["storageClass"]


OFF = {"provisioner": {"enabled": False}}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, ("jupyterhub-homes", "jupyterhub-homes")),
        ({"storage": OFF}, (None, "")),
        ({"storage": {**OFF, "storageClassName": "fast"}}, ("fast", "fast")),
        ({"database": {"pvc": {"storageClassName": "ssd"}}}, ("ssd", "jupyterhub-homes")),
        ({"singleuser": {"storage": {"dynamic": {"storageClass": "nfs"}}}}, ("jupyterhub-homes", "nfs")),
    ],
)
def test_null_is_the_next_wider_choice(render: Callable[..., Render], values: dict[str, Any], wanted: object) -> None:
    """A claim's own class, then the chart's, then the provisioner's, then the cluster's default."""
    assert classes(render(values)) == wanted


def test_the_class_and_the_provisioner_agree(default: Render) -> None:
    """On the name by which the provisioner takes claims, and on the folder."""
    storage_class = default.get("StorageClass", "jupyterhub-homes")
    command = default.get("Deployment", "jupyterhub-storage")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert f"--provisioner-name={storage_class['provisioner']}" in command
    assert storage_class["volumeBindingMode"] == "WaitForFirstConsumer"
    assert storage_class["reclaimPolicy"] == "Retain"
    config = json.loads(default.get("ConfigMap", "jupyterhub-storage")["data"]["config.json"])
    assert config == {
        "nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["/var/lib/kubelab/volumes"]}]
    }


def test_two_releases_of_one_name_have_provisioners_of_their_own(render: Callable[..., Render]) -> None:
    """A qualified name has 63 characters after its slash at most."""
    long = render(release="a" * 40).all("StorageClass")[0]["provisioner"]
    assert len(long.split("/")[1]) <= 63
    assert render(release="one").all("StorageClass")[0]["provisioner"] == "kubelab.io/jupyterhub-one"


def test_the_provisioners_flags_exist(default: Render) -> None:
    """Flags of local-path-provisioner 0.0.30 (main.go); an unknown one ends it."""
    command = default.get("Deployment", "jupyterhub-storage")["spec"]["template"]["spec"]["containers"][0]["command"]
    known = {
        "config", "provisioner-name", "namespace", "helper-image", "kubeconfig", "configmap-name",
        "service-account-name", "helper-pod-file", "worker-threads", "provisioning-retry-count", "deletion-retry-count",
    }  # fmt: skip
    assert command[:2] == ["local-path-provisioner", "start"]
    assert {flag.removeprefix("--").split("=")[0] for flag in command[2:]} <= known
