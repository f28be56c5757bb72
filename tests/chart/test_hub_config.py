"""The hub's configuration against the real classes: what it sets exists, and what does not exist is refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupyterhub.utils
import pytest
from jupyterhub.objects import Hub
from jupyterhub.orm import Spawner
from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner

from .hub import load_hub_config

if TYPE_CHECKING:
    from .conftest import Render


class User:
    """As much of a JupyterHub user as a spawner reads."""

    name = escaped_name = "Alice.Smith"
    id = 1
    url = "/user/alice/"
    groups: tuple[str, ...] = ()


def make_pod(config: Any, profile: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the pod and the claim that KubeSpawner would send for a profile."""

    async def make() -> tuple[dict[str, Any], dict[str, Any]]:
        spawner = KubeSpawner(
            config=config,
            hub=Hub(),
            user=User(),
            orm_spawner=Spawner(name=""),
            api_token="t",
            oauth_client_id="c",
            _mock=True,
        )
        spawner.port = 8888
        spawner.user_options = {"profile": profile}
        await spawner.load_user_options()
        async with ApiClient() as api:
            pod = api.sanitize_for_serialization(await spawner.get_pod_manifest())
            return pod, api.sanitize_for_serialization(spawner.get_pvc_manifest())

    return asyncio.run(make())


@pytest.fixture
def config(default: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the configuration of the default render, for a spawner that never calls a cluster."""
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    return load_hub_config(default, tmp_path, monkeypatch)


def test_the_users_pod_is_restricted(config: Any) -> None:
    """The Pod Security Standard `restricted`, no token, no service links, the labels that the policies select."""
    pod, _ = make_pod(config, "python-3-11")
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 100,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["securityContext"]["fsGroup"] == 100
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["serviceAccountName"] == "jupyterhub-singleuser"
    assert not spec.get("initContainers")
    selector = {"app.kubernetes.io/instance": "jupyterhub", "app.kubernetes.io/component": "singleuser-server"}
    assert selector.items() <= pod["metadata"]["labels"].items()


def test_the_users_pod_has_requests_and_limits(config: Any) -> None:
    """From `singleuser.cpu` and `singleuser.memory`."""
    pod, _ = make_pod(config, "python-3-13")
    assert pod["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": 0.1, "memory": 256 * 2**20},
        "limits": {"cpu": 2.0, "memory": 2 * 2**30},
    }


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_a_profile_starts_the_image_of_its_python(config: Any, version: str) -> None:
    """Under the slug that scripts rely on."""
    pod, _ = make_pod(config, f"python-{version.replace('.', '-')}")
    assert pod["spec"]["containers"][0]["image"] == f"localhost:5000/kubelab/notebook:0.1.0-py{version}"


def test_an_unknown_profile_is_refused(config: Any) -> None:
    """Nobody starts an image that is not offered."""
    with pytest.raises(ValueError, match="No such profile"):
        make_pod(config, "python-2-7")


def test_the_home_is_a_claim_under_a_safe_slug(config: Any) -> None:
    """Not under the raw name, which may hold what Kubernetes refuses; mounted as the home."""
    pod, claim = make_pod(config, "python-3-13")
    name = claim["metadata"]["name"]
    assert name.startswith("claim-alice-smith---")
    assert claim["spec"]["storageClassName"] == "jupyterhub-homes"
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert pod["spec"]["volumes"] == [
        {"name": "home", "persistentVolumeClaim": {"claimName": name}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "5Gi"}},
    ]
    assert pod["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "home", "mountPath": "/home/jovyan"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]


@pytest.mark.parametrize("name", ["multi-python", "hardened", "extended"])
def test_each_scenario_loads(
    render: Callable[..., Render], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every trait that it sets exists."""
    config = load_hub_config(render(scenario=name), tmp_path, monkeypatch)
    assert config.KubeSpawner.profile_list


def test_the_snippet_comes_after_the_traits(
    render: Callable[..., Render], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values < hub.config < hub.extraConfig by key order."""
    snippets = {"20-b": "c.Spawner.default_url += '/b'", "10-a": "c.Spawner.default_url += '/a'"}
    values = {"hub": {"config": {"Spawner": {"default_url": "/tree"}}, "extraConfig": snippets}}
    config = load_hub_config(render(values), tmp_path, monkeypatch)
    assert config.Spawner.default_url == "/tree/a/b"


@pytest.mark.parametrize(
    ("hub", "message"),
    [
        ({"config": {"KubeSpawner": {"cpu_limt": 1}}}, "KubeSpawner has no trait cpu_limt; did you mean cpu_limit?"),
        ({"config": {"Kubespawner": {}}}, "there is no configurable class Kubespawner; did you mean KubeSpawner?"),
        ({"config": {"JupyterHub": {"allow_named_servers": "yes"}}}, "JupyterHub.allow_named_servers: "),
        ({"extraConfig": {"a": "c.JupyterHub.admin_acess = True"}}, "JupyterHub has no trait admin_acess"),
    ],
)
def test_what_does_not_exist_stops_the_hub(
    render: Callable[..., Render], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Any, message: str
) -> None:
    """JupyterHub would warn and go on."""
    with pytest.raises(SystemExit) as stopped:
        load_hub_config(render({"hub": hub}), tmp_path, monkeypatch)
    assert message in str(stopped.value)


def test_every_default_of_the_hubs_own_classes_is_accepted(config: Any) -> None:
    """The refusal knows each trait's type: what the classes hold by themselves is right."""
    from kubelab_hub.traits import find_problem, list_hub_classes
    from traitlets import Undefined

    assert config
    problems = [
        find_problem(cls, name, trait.default_value)
        for cls in list_hub_classes()
        for name, trait in cls.class_traits(config=True).items()
        if trait.default_value is not Undefined
    ]
    assert len(problems) > 400
    assert {problem for problem in problems if problem} == set()


@pytest.mark.parametrize("key", ["secret/crypt-key", "admin/password"])
def test_a_secret_without_a_key_stops_the_hub_by_name(
    default: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any, key: str
) -> None:
    """And says which."""
    assert config
    (tmp_path / key).unlink()
    with pytest.raises(SystemExit) as stopped:
        load_hub_config(default, tmp_path, monkeypatch)
    assert f"has no key '{key.split('/')[1]}'" in str(stopped.value)


def test_waits_are_short(config: Any) -> None:
    """A server is seen within a quarter of a second, by hub and spawner."""
    import kubespawner.spawner

    assert config
    for module in (jupyterhub.utils, kubespawner.spawner):
        assert module.exponential_backoff.keywords["max_wait"] == 0.25


def test_the_culler_understands_its_flags(config: Any) -> None:
    """An unknown flag would end it, again and again."""
    from jupyterhub_idle_culler import IdleCuller

    command = config.JupyterHub.services[0]["command"]
    assert command[1:3] == ["-m", "jupyterhub_idle_culler"]
    culler = IdleCuller()
    culler.parse_command_line(command[3:])
    assert (culler.timeout, culler.cull_every, culler.concurrency) == (3600, 600, 10)
    assert culler.url == "http://127.0.0.1:8081/hub/api"
    assert culler.extra_args == []
    assert {"list:users", "delete:servers"} <= set(config.JupyterHub.load_roles[0]["scopes"])


def test_the_culler_calls_the_hub_below_its_base_url(
    render: Callable[..., Render], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the loopback address: the NetworkPolicy does not admit the hub to its own Service."""
    config = load_hub_config(render({"hub": {"baseUrl": "/jupyter"}}), tmp_path, monkeypatch)
    assert "--url=http://127.0.0.1:8081/jupyter/hub/api" in config.JupyterHub.services[0]["command"]


def test_a_picked_profile_is_no_reason_for_a_warning(config: Any, caplog: pytest.LogCaptureFixture) -> None:
    """JupyterHub warns of options that nobody handles; KubeSpawner handles them, later."""

    async def apply(config: Any) -> None:
        spawner = KubeSpawner(config=config, user=User(), orm_spawner=Spawner(name=""), _mock=True)
        spawner.log = logging.getLogger("spawner")
        await spawner._run_apply_user_options({"profile": "python-3-11"})

    asyncio.run(apply(config))
    assert caplog.messages == []
    del config.KubeSpawner["apply_user_options"]
    asyncio.run(apply(config))
    assert "unhandled user_options" in caplog.text


def test_the_page_says_until_when_a_python_is_kept() -> None:
    """And warns when that day is past."""
    from datetime import date

    from kubelab_hub.spawning import describe_python

    python = {"version": "3.11", "endOfLife": "2027-10-31", "description": "Ours."}
    assert describe_python(python, date(2027, 10, 31)) == "Ours. Security fixes until 31 October 2027."
    assert describe_python(python, date(2027, 11, 1)).startswith("Ours. No security fixes since 31 October 2027")
    assert describe_python({"version": "3.11"}, date(2027, 1, 1)) == ""


@pytest.mark.parametrize("enabled", [True, False])
def test_collaboration_is_a_switch(
    render: Callable[..., Render], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    """The images have it, and read these settings before their own; what the operator sets by hand goes over it."""
    more = {"singleuser": {"collaboration": {"enabled": enabled}, "extraEnv": {"EDITOR": "nano"}}}
    config = load_hub_config(render(more), tmp_path, monkeypatch)
    path = {"JUPYTER_CONFIG_PATH": "/opt/server/share/kubelab/collaboration"} if enabled else {}
    assert config.Spawner.environment == {**path, "EDITOR": "nano"}
