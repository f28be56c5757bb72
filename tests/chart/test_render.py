"""What every render has: the same bytes twice, names from the release, no secret, images from one registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import CHART, NAMESPACE, RELEASE, SCENARIOS, Render

IMMUTABLE_SELECTOR = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_two_renders_are_byte_identical(render: Callable[..., Render], name: str) -> None:
    """No random value, no time and no `lookup` at render."""
    assert render(scenario=name).text == render(scenario=name).text


def test_no_template_uses_what_would_make_renders_differ() -> None:
    """The functions that read a clock, a cluster or a random source are absent."""
    forbidden = ["lookup ", "rand", "genCA", "genSelfSignedCert", "genPrivateKey", "now", "uuidv4", "derivePassword"]
    sources = {path: path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file()}
    found = [(path.name, word) for path, text in sources.items() for word in forbidden if f"{{{{ {word}" in text]
    assert found == []


def test_no_secret_is_rendered(scenario: Render) -> None:
    """A hook Job makes the Secrets in the cluster; none is in the release."""
    assert scenario.all("Secret") == []


def test_every_name_begins_with_the_release(render: Callable[..., Render]) -> None:
    """Two releases can share a namespace; the cluster-scoped roles begin with the namespace instead."""
    release = "other"
    names = {(each["kind"], each["metadata"]["name"]) for each in render(release=release).objects}
    odd = {(kind, name) for kind, name in names if not name.startswith(f"{release}-")}
    cluster_name = f"{NAMESPACE}-{release}-storage"
    assert odd == {
        ("Namespace", f"{NAMESPACE}-storage"),
        ("ClusterRole", cluster_name),
        ("ClusterRoleBinding", cluster_name),
        ("ValidatingAdmissionPolicy", f"{NAMESPACE}-{release}-pods"),
        ("ValidatingAdmissionPolicyBinding", f"{NAMESPACE}-{release}-pods"),
    }


def test_each_object_has_the_recommended_labels(scenario: Render) -> None:
    """By these a person and a policy find what belongs together."""
    wanted = {*IMMUTABLE_SELECTOR, "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
    missing = {
        each["metadata"]["name"]: wanted - set(each["metadata"]["labels"])
        for each in scenario.objects
        if wanted - set(each["metadata"].get("labels", {}))
    }
    assert missing == {}


def test_selectors_are_the_three_labels_that_never_change(scenario: Render) -> None:
    """A version or a chart name in a selector would make upgrades impossible."""
    for deployment in scenario.all("Deployment"):
        selector = deployment["spec"]["selector"]["matchLabels"]
        assert set(selector) == IMMUTABLE_SELECTOR
        assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_each_service_selects_exactly_one_deployment(scenario: Render) -> None:
    """And names a port that this Deployment's container has."""
    for service in scenario.all("Service"):
        selected = [
            each
            for each in scenario.all("Deployment")
            if service["spec"]["selector"].items() <= each["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert len(selected) == 1, service["metadata"]["name"]
        containers = selected[0]["spec"]["template"]["spec"]["containers"]
        ports = {port["name"] for container in containers for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_images_come_from_the_one_registry(render: Callable[..., Render]) -> None:
    """`images.registry` moves every image, the users' included."""
    rendered = render({"images": {"registry": "registry.example:5000/mirror"}})
    images = {container.spec["image"] for container in rendered.containers()}
    assert images == {
        "registry.example:5000/mirror/kubelab/hub:0.1.0",
        "registry.example:5000/mirror/kubelab/proxy:0.1.0",
        "registry.example:5000/mirror/kubelab/notebook:0.1.0-py3.13",
        "registry.example:5000/mirror/kubelab/notebook:0.1.0-py3.11",
        "registry.example:5000/mirror/kubelab/local-path-provisioner:v0.0.30",
    }
    assert "localhost:5000" not in rendered.text


def test_a_digest_pins_an_image(render: Callable[..., Render]) -> None:
    """The tag stays beside it for people."""
    digest = "sha256:" + "0" * 64
    rendered = render({"images": {"proxy": {"tag": "9", "digest": digest}}})
    proxy = rendered.get("Deployment", f"{RELEASE}-proxy")["spec"]["template"]["spec"]["containers"][0]
    assert proxy["image"] == f"localhost:5000/kubelab/proxy:9@{digest}"


def test_each_template_file_holds_one_object() -> None:
    """One file is one kind of one component."""
    several = [path.name for path in (CHART / "templates").rglob("*.yaml") if path.read_text().count("\nkind:") > 1]
    assert several == []


def test_templates_are_short() -> None:
    """Templates have 80 lines at most, helpers 140."""
    limits = {".yaml": 80, ".tpl": 140}
    lengths = {path: len(path.read_text().splitlines()) for path in (CHART / "templates").rglob("*") if path.is_file()}
    long = {path.name: length for path, length in lengths.items() if length > limits.get(path.suffix, 80)}
    assert long == {}


def test_references_to_config_maps_and_secrets_resolve(scenario: Render) -> None:
    """What a pod mounts is rendered, made by the hook, or given by the operator."""
    config_maps = {each["metadata"]["name"] for each in scenario.all("ConfigMap")}
    hooks = [
        yaml.safe_load(each["data"]["secrets.json"])
        for each in scenario.all("ConfigMap")
        if "secrets.json" in each["data"]
    ]
    secrets = {spec["name"] for specs in hooks for spec in specs} | {
        "hub-secret-from-elsewhere",
        "hub-admin-from-elsewhere",
        "dashboard-token",
        "jupyterhub-tls",
    }
    for container in scenario.containers():
        for volume in container.pod["spec"].get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in config_maps, container.name
            if "secret" in volume:
                assert volume["secret"]["secretName"] in secrets, container.name


def test_the_namespace_of_a_release_is_never_written_down() -> None:
    """Objects take `--namespace`; only bindings' subjects and the storage namespace say one."""
    texts = {path.name: path.read_text() for path in Path(CHART / "templates").rglob("*.yaml")}
    assert [name for name, text in texts.items() if "namespace: jupyterhub" in text] == []
