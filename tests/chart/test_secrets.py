"""The hook that makes the Secrets once, and what takes its place when they are given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Render

HOOK = "jupyterhub-make-secrets"


def test_the_hook_runs_before_install_and_upgrade_and_leaves_nothing(default: Render) -> None:
    """Its account exists before the Job and goes with it."""
    weights = {}
    for each in default.objects:
        annotations = each["metadata"].get("annotations", {})
        if each["metadata"]["name"] == HOOK:
            assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
            assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
            weights[each["kind"]] = int(annotations["helm.sh/hook-weight"])
    assert max(weights, key=lambda kind: weights[kind]) == "Job"
    assert weights["RoleBinding"] > max(weights["Role"], weights["ServiceAccount"])


def test_the_hook_makes_the_keys_that_hub_and_proxy_read(default: Render) -> None:
    """And says how, never what."""
    specs = json.loads(default.get("ConfigMap", HOOK)["data"]["secrets.json"])
    assert {spec["name"]: {**spec["random"], **spec["plain"]} for spec in specs} == {
        "jupyterhub-hub-secret": {"cookie-secret": "hex32", "crypt-key": "hex32", "proxy-token": "hex32"},
        "jupyterhub-hub-admin": {"username": "admin", "password": "password"},
    }


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({"existingSecret": "given"}, ["jupyterhub-hub-admin"]),
        ({"admin": {"existingSecret": "given"}}, ["jupyterhub-hub-secret"]),
    ],
)
def test_a_given_secret_is_not_made(render: Callable[..., Render], values: dict[str, object], made: list[str]) -> None:
    """Nor may the hook read it."""
    rendered = render({"hub": values})
    assert [spec["name"] for spec in json.loads(rendered.get("ConfigMap", HOOK)["data"]["secrets.json"])] == made
    assert rendered.get("Role", HOOK)["rules"][1]["resourceNames"] == made


def test_with_both_given_there_is_no_hook(render: Callable[..., Render]) -> None:
    """Nothing of it is left, and hub and proxy read what was given."""
    rendered = render(scenario="hardened")
    assert [each for each in rendered.objects if each["metadata"]["name"] == HOOK] == []
    proxy = rendered.get("Deployment", "jupyterhub-proxy")["spec"]["template"]["spec"]["containers"][0]
    assert proxy["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "hub-secret-from-elsewhere", "key": "proxy-token"}


def test_the_hub_gets_its_secrets_as_files(default: Render) -> None:
    """None in its environment or on its command line."""
    pod = default.get("Deployment", "jupyterhub-hub")["spec"]["template"]["spec"]
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert secrets == {"jupyterhub-hub-secret", "jupyterhub-hub-admin"}
    assert "secretKeyRef" not in json.dumps(pod["containers"])


def test_users_and_secrets_outlive_the_release(default: Render) -> None:
    """The hub's claim is kept by Helm; the homes and the Secrets are not Helm's at all."""
    claim = default.get("PersistentVolumeClaim", "jupyterhub-hub-db")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert [each["metadata"]["name"] for each in default.all("PersistentVolumeClaim")] == ["jupyterhub-hub-db"]


def test_each_service_of_the_hub_has_a_token_of_its_own(render: Callable[..., Render]) -> None:
    """Made by the hook, unless its Secret is given; the hub reads each by the service's name."""
    given = {"existingSecret": "given"}
    values = {
        "hub": {"services": {"grader": {}, "other": {"existingSecret": "others"}}, **given, "admin": given},
    }
    rendered = render(values)
    config_map = rendered.get("ConfigMap", "jupyterhub-make-secrets")
    (made,) = json.loads(config_map["data"]["secrets.json"])
    assert (made["name"], made["random"], made["plain"]) == ("jupyterhub-service-grader", {"token": "hex32"}, {})
    named = rendered.get("Role", "jupyterhub-make-secrets")["rules"][1]["resourceNames"]
    assert named == ["jupyterhub-service-grader"]
    pod = rendered.get("Deployment", "jupyterhub-hub")["spec"]["template"]["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == "services")
    assert [each["secret"] for each in volume["projected"]["sources"]] == [
        {"name": "jupyterhub-service-grader", "items": [{"key": "token", "path": "grader"}]},
        {"name": "others", "items": [{"key": "token", "path": "other"}]},
    ]
