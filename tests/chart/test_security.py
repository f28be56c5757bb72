"""Every container keeps to the Pod Security Standard `restricted`, has limits, and is probed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Container, Render

WITH_TOKEN = {
    "Deployment/jupyterhub-hub",
    "Deployment/jupyterhub-storage",
    "Job/jupyterhub-make-secrets",
    "CronJob/jupyterhub-tls-renewal",
}


def context(container: Container) -> dict[str, object]:
    """The container's security context over its pod's."""
    return {**container.pod["spec"].get("securityContext", {}), **container.spec.get("securityContext", {})}


def test_no_container_runs_as_root(scenario: Render) -> None:
    """Neither by the image's user nor by a set one."""
    for container in scenario.containers():
        assert context(container)["runAsNonRoot"] is True, container.name
        assert context(container)["runAsUser"] == 1000, container.name


def test_capabilities_are_dropped_and_none_is_added(scenario: Render) -> None:
    """ALL, as PSS restricted asks."""
    for container in scenario.containers():
        assert context(container)["capabilities"] == {"drop": ["ALL"]}, container.name
        assert context(container)["allowPrivilegeEscalation"] is False, container.name
        assert "privileged" not in context(container), container.name


def test_seccomp_is_the_runtimes_default(scenario: Render) -> None:
    """On the pod or the container."""
    for container in scenario.containers():
        assert context(container)["seccompProfile"] == {"type": "RuntimeDefault"}, container.name


def test_root_file_systems_are_read_only(scenario: Render) -> None:
    """What must be written is a named volume."""
    for container in scenario.containers():
        assert context(container)["readOnlyRootFilesystem"] is True, container.name


def test_no_pod_touches_its_host(scenario: Render) -> None:
    """No host network, processes, IPC or path; the provisioner adds its one hostPath to the helper pod itself."""
    for owner, pod in scenario.pods():
        spec = pod["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), owner["metadata"]["name"]
        assert [volume for volume in spec.get("volumes", []) if "hostPath" in volume] == []


def test_only_these_accounts_have_a_token(scenario: Render) -> None:
    """The hub, the provisioner, the hook and who renews the certificate; every other pod says that it has none."""
    tokens = {
        f"{owner['kind']}/{owner['metadata']['name']}": pod["spec"]["automountServiceAccountToken"]
        for owner, pod in scenario.pods()
    }
    assert {name for name, mounted in tokens.items() if mounted} <= WITH_TOKEN
    assert all(each["automountServiceAccountToken"] is False for each in scenario.all("ServiceAccount"))


def test_no_service_links_are_injected(scenario: Render) -> None:
    """They leak the namespace's Services into every environment."""
    assert all(pod["spec"]["enableServiceLinks"] is False for _, pod in scenario.pods())


def test_each_container_has_requests_and_limits(scenario: Render) -> None:
    """Of CPU and memory."""
    for container in scenario.containers():
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container.spec["resources"][kind]), container.name


def test_each_serving_container_has_three_probes(scenario: Render) -> None:
    """Start-up, readiness and liveness for what serves; the provisioner and the run-once pods serve nothing."""
    serving = [container for container in scenario.containers() if container.spec.get("ports")]
    assert {container.spec["name"] for container in serving} - {"tls"} == {"hub", "chp"}
    for container in serving:
        named = {port["name"] for port in container.spec["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container.spec[probe]["httpGet"]["port"] in named, container.name


def test_pull_secrets_reach_every_pod_and_account(render: Callable[..., Render]) -> None:
    """The storage helper's and the users' included."""
    rendered = render({"imagePullSecrets": [{"name": "login"}]})
    for owner, pod in rendered.pods():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "login"}], owner["metadata"]["name"]
    for account in rendered.all("ServiceAccount"):
        assert account["imagePullSecrets"] == [{"name": "login"}], account["metadata"]["name"]
    assert '"imagePullSecrets": [' in rendered.get("ConfigMap", "jupyterhub-hub")["data"]["settings.json"]


def test_root_for_the_storage_helper_is_a_named_exception(render: Callable[..., Render]) -> None:
    """And changes no other container."""
    values = {"storage": {"provisioner": {"helper": {"runAsUser": 0}}}}
    users = {container.spec["name"]: context(container)["runAsUser"] for container in render(values).containers()}
    assert {name for name, user in users.items() if user == 0} == {"helper-pod"}


def test_the_storage_namespace_alone_may_mount_host_paths(default: Render) -> None:
    """And nothing but the provisioner's own objects live in it."""
    namespace = default.get("Namespace", "jupyterhub-storage")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    inside = {
        (each["kind"], each["metadata"]["name"])
        for each in default.objects
        if each["metadata"].get("namespace") == "jupyterhub-storage"
    }
    assert inside == {
        ("ConfigMap", "jupyterhub-storage"),
        ("Deployment", "jupyterhub-storage"),
        ("NetworkPolicy", "jupyterhub-storage"),
        ("NetworkPolicy", "jupyterhub-storage-helper"),
        ("Role", "jupyterhub-storage"),
        ("RoleBinding", "jupyterhub-storage"),
        ("ServiceAccount", "jupyterhub-storage"),
        ("ServiceAccount", "jupyterhub-storage-helper"),
    }
