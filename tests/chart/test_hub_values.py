"""Values that the hub alone makes something of: loaded by JupyterHub, and made into real pods and services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyterhub.services.service import Service
from kubelab_hub.service import PAGES

from kubelab_helpers.release.schema import read_schema

from .conftest import CHART
from .hub import load_hub_config
from .test_hub_config import make_pod

if TYPE_CHECKING:
    from .conftest import Render

Load = Callable[[dict[str, Any]], Any]


@pytest.fixture
def load(render: Callable[..., Render], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that gives the hub's configuration for values."""
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    tokens = tmp_path / "services"
    tokens.mkdir()
    for name in ("grader", "dashboard"):
        (tokens / name).write_text(f"token of {name}\n")
    return lambda values: load_hub_config(render(values), tmp_path, monkeypatch)


def storage(**values: Any) -> dict[str, Any]:
    """Values with that below singleuser.storage."""
    return {"singleuser": {"storage": values}}


def home_of(config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The volume of the home and its mount, in a real pod."""
    spec = make_pod(config, "python-3-13")[0]["spec"]
    (mount,) = (each for each in spec["containers"][0]["volumeMounts"] if each["mountPath"] == "/home/jovyan")
    (volume,) = (each for each in spec["volumes"] if each["name"] == mount["name"])
    return volume, mount


def test_one_claim_for_all_has_a_folder_for_each_user(load: Load) -> None:
    """Under KubeSpawner's safe name: a raw one could be `..`, or hold a slash."""
    volume, mount = home_of(load(storage(type="static", static={"pvcName": "homes"})))
    assert volume["persistentVolumeClaim"] == {"claimName": "homes"}
    assert mount["subPath"].startswith("alice-smith---")


def test_no_home_goes_with_the_server(load: Load) -> None:
    config = load(storage(type="none"))
    volume, _ = home_of(config)
    assert volume["emptyDir"] == {}
    assert config.KubeSpawner.storage_pvc_ensure is False


def test_a_claim_of_another_name_is_made_and_mounted(load: Load) -> None:
    """Name, folder in it, labels and volume, all of them KubeSpawner's templates."""
    dynamic = {"pvcNameTemplate": "work-{user_server}", "volumeNameTemplate": "work", "subPath": "files"}
    config = load(storage(dynamic=dynamic, extraLabels={"course": "statistics"}))
    claim = make_pod(config, "python-3-13")[1]
    assert claim["metadata"]["name"].startswith("work-alice-smith---")
    assert claim["metadata"]["labels"]["course"] == "statistics"
    volume, mount = home_of(config)
    assert (volume["name"], mount["subPath"]) == ("work", "files")
    assert volume["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}


def test_the_operators_own_parts_are_in_the_pod(load: Load) -> None:
    """Containers, hooks, volumes, affinities, devices: each where Kubernetes has it, the chart's own beside them."""
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "other"}}}
    values = {
        "extraContainers": [{"name": "beside", "image": "registry.example/beside:1"}],
        "initContainers": [{"name": "before", "image": "registry.example/before:1"}],
        "lifecycleHooks": {"postStart": {"exec": {"command": ["true"]}}},
        "extraPodConfig": {"hostname": "desk"},
        "extraResource": {"limits": {"example.org/gpu": "1"}, "guarantees": {"example.org/gpu": "1"}},
        "extraNodeAffinity": {"required": [term]},
        "extraPodAntiAffinity": {"required": [apart]},
        "serviceAccountName": "notebooks",
        "podNameTemplate": "desk-{user_server}",
        "cmd": ["jupyterhub-singleuser", "--debug"],
        "storage": {
            "extraVolumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-{username}"}}],
            "extraVolumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
        },
    }
    pod, _ = make_pod(load({"singleuser": values}), "python-3-13")
    spec = pod["spec"]
    server, beside = spec["containers"]
    assert pod["metadata"]["name"].startswith("desk-alice-smith---")
    assert beside["name"] == "beside"
    assert [each["name"] for each in spec["initContainers"]] == ["before"]
    assert server["lifecycle"] == values["lifecycleHooks"]
    assert server["resources"]["limits"]["example.org/gpu"] == "1"
    assert (spec["hostname"], spec["enableServiceLinks"]) == ("desk", False)
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("notebooks", False)
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"] == [term]
    assert len(spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]) == 1
    assert spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == [apart]
    (data,) = (each for each in spec["volumes"] if each["name"] == "data")
    assert data["persistentVolumeClaim"]["claimName"].startswith("data-alice-smith---")
    assert {"name": "data", "mountPath": "/data", "readOnly": True} in server["volumeMounts"]
    assert server["args"][:2] == ["jupyterhub-singleuser", "--debug"]


def test_the_environment_of_a_server_may_come_from_elsewhere(load: Load) -> None:
    """A plain value becomes text; a reference to a Secret reaches the pod as it is, and the hub never reads it."""
    reference = {"valueFrom": {"secretKeyRef": {"name": "course", "key": "token"}}}
    pod, _ = make_pod(load({"singleuser": {"extraEnv": {"WEEKS": 14, "TOKEN": reference}}}), "python-3-13")
    environment = {each["name"]: each for each in pod["spec"]["containers"][0]["env"]}
    assert environment["WEEKS"] == {"name": "WEEKS", "value": "14"}
    assert environment["TOKEN"] == {"name": "TOKEN", **reference}


def test_limits_are_jupyterhubs_own_unless_they_are_said(load: Load) -> None:
    assert not {"named_server_limit_per_user", "redirect_to_server", "shutdown_on_logout"} & set(load({}).JupyterHub)
    values = {
        "allowNamedServers": True,
        "namedServerLimitPerUser": 3,
        "activeServerLimit": 40,
        "authenticatePrometheus": False,
        "redirectToServer": False,
        "shutdownOnLogout": True,
    }
    hub = load({"hub": values}).JupyterHub
    assert (hub.allow_named_servers, hub.named_server_limit_per_user, hub.active_server_limit) == (True, 3, 40)
    assert (hub.authenticate_prometheus, hub.redirect_to_server, hub.shutdown_on_logout) == (False, False, True)


def test_services_have_their_tokens_beside_the_culler(load: Load) -> None:
    """A token is read where the Secret is mounted, and stands in no value."""
    values = {
        "services": {
            "grader": {"url": "http://grader:9000", "admin": False, "existingSecret": "given"},
            "dashboard": {"oauth_no_confirm": True, "environment": {"WORKERS": 2}},
        },
        "loadRoles": {"grading": {"scopes": ["list:users"], "services": ["grader"]}},
        "extraConfig": {"more": "c.JupyterHub.services.append({'name': 'third', 'api_token': 'x' * 32})"},
    }
    hub = load({"hub": values}).JupyterHub
    assert [each["name"] for each in hub.services] == ["jupyterhub-idle-culler", "dashboard", "grader", "third"]
    _, dashboard, grader, _ = hub.services
    assert grader == {
        "name": "grader",
        "url": "http://grader:9000",
        "admin": False,
        "api_token": "token of grader",
    }
    assert dashboard["environment"] == {"WORKERS": "2"}
    assert hub.load_roles[1] == {"name": "grading", "scopes": ["list:users"], "services": ["grader"]}


def test_a_service_without_its_token_stops_the_hub_by_name(load: Load) -> None:
    with pytest.raises(SystemExit, match="has no key 'other'"):
        load({"hub": {"services": {"other": {}}}})


def test_without_the_culler_there_are_only_the_operators_services(load: Load) -> None:
    hub = load({"cull": {"enabled": False}, "hub": {"services": {"grader": {}}}}).JupyterHub
    assert [each["name"] for each in hub.services] == ["grader"]
    assert hub.load_roles == []


def test_pages_of_the_operator_stand_before_the_charts(load: Load) -> None:
    hub = load({"hub": {"templatePaths": ["/srv/pages"], "templateVars": {"announcement": "Welcome."}}}).JupyterHub
    assert hub.template_paths[:2] == ["/srv/pages", PAGES]
    assert hub.template_vars == {"announcement": "Welcome."}


def test_servers_that_may_ask_for_no_names_have_the_hubs_address(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Service's own, which does not change while it is there."""
    assert load({}).JupyterHub.hub_connect_url == "http://jupyterhub-hub:8081"
    for address, url in (("192.0.2.81", "http://192.0.2.81:8081"), ("2001:db8::81", "http://[2001:db8::81]:8081")):
        answers = {"jupyterhub-hub": [(0, 0, 0, "", (address, 0))]}
        monkeypatch.setattr("socket.getaddrinfo", lambda name, _port, found=answers: found[name])
        strict = load({"networkPolicy": {"singleuser": {"egress": "strict"}}})
        assert strict.JupyterHub.hub_connect_url == url


def test_a_snippet_reads_the_operators_own_values(load: Load) -> None:
    """As zero-to-jupyterhub's snippets do, with a default for what is absent."""
    told = "{'week': get_config('custom.course.week'), 'none': get_config('custom.no', 7)}"
    snippet = f"c.JupyterHub.template_vars = {told}"
    values = {"custom": {"course": {"week": 3}}, "hub": {"extraConfig": {"own": snippet}}}
    assert load(values).JupyterHub.template_vars == {"week": 3, "none": 7}


def test_every_field_of_a_service_is_one_that_jupyterhub_has() -> None:
    """The schema lists them; JupyterHub passes them to its Service class by name."""
    fields = read_schema(CHART)["properties"]["hub"]["properties"]["services"]["additionalProperties"]["properties"]
    assert set(fields) - {"existingSecret"} <= set(Service.class_trait_names())
