"""Files that the operator puts into the hub and into users' servers."""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from .conftest import Render

DATA = {"course": {"name": "statistics", "weeks": 14}}
PICTURE = base64.b64encode(bytes(range(200))).decode()
FILES: dict[str, dict[str, Any]] = {
    "text": {"mountPath": "/etc/motd", "stringData": "first: {{ not a template }}\n\n  second\n"},
    "picture": {"mountPath": "/srv/logo.png", "binaryData": f"{PICTURE[:76]}\n{PICTURE[76:]}\n", "mode": 256},
    "as-yaml": {"mountPath": "/etc/course.yaml", "data": DATA},
    "as-json": {"mountPath": "/etc/course.json", "data": DATA},
    "as-toml": {"mountPath": "/etc/course.toml", "data": DATA},
}
ITEMS: list[dict[str, Any]] = [
    {"key": "as-json", "path": "as-json"},
    {"key": "as-toml", "path": "as-toml"},
    {"key": "as-yaml", "path": "as-yaml"},
    {"key": "picture", "path": "picture", "mode": 256},
    {"key": "text", "path": "text"},
]


def mounts() -> list[dict[str, Any]]:
    """Where each file is to be."""
    return [
        {"name": "files", "mountPath": FILES[each["key"]]["mountPath"], "subPath": each["path"], "readOnly": True}
        for each in ITEMS
    ]


@pytest.mark.parametrize("owner", ["hub", "singleuser"])
def test_each_content_arrives_as_it_was(render: Callable[..., Render], owner: str) -> None:
    """Text to the byte, pictures by base64, data in the language that the file's name says."""
    config_map = render({owner: {"extraFiles": FILES}}).get("ConfigMap", f"jupyterhub-{owner}-files")
    data = config_map["data"]
    assert data["text"] == FILES["text"]["stringData"]
    assert yaml.safe_load(data["as-yaml"]) == json.loads(data["as-json"]) == tomllib.loads(data["as-toml"]) == DATA
    assert base64.b64decode(config_map["binaryData"]["picture"]) == bytes(range(200))


def test_the_hub_has_them_and_starts_anew_when_one_changes(render: Callable[..., Render], default: Render) -> None:
    rendered = render({"hub": {"extraFiles": FILES}})
    template = rendered.get("Deployment", "jupyterhub-hub")["spec"]["template"]
    spec = template["spec"]
    volume = {"name": "files", "configMap": {"name": "jupyterhub-hub-files", "items": ITEMS}}
    assert volume in spec["volumes"]
    assert [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "files"] == mounts()
    changed = {**FILES, "text": {**FILES["text"], "stringData": "other"}}
    other = render({"hub": {"extraFiles": changed}}).get("Deployment", "jupyterhub-hub")["spec"]["template"]
    assert other["metadata"]["annotations"]["checksum/files"] != template["metadata"]["annotations"]["checksum/files"]
    untouched = default.get("Deployment", "jupyterhub-hub")["spec"]["template"]
    assert "checksum/files" not in untouched["metadata"]["annotations"]


def test_servers_have_them_beside_the_operators_volumes(render: Callable[..., Render]) -> None:
    """The hub is told of them by name; what is in them stays in their ConfigMap."""
    other = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    mount = {"name": "data", "mountPath": "/data"}
    storage = {"extraVolumes": [other], "extraVolumeMounts": [mount]}
    rendered = render({"singleuser": {"extraFiles": FILES, "storage": storage}})
    text = rendered.get("ConfigMap", "jupyterhub-hub")["data"]["settings.json"]
    told = json.loads(text)["singleuser"]["storage"]
    volume = {"name": "files", "configMap": {"name": "jupyterhub-singleuser-files", "items": ITEMS}}
    assert told["extraVolumes"] == [volume, other]
    assert told["extraVolumeMounts"] == [*mounts(), mount]
    assert "not a template" not in text
