"""What the chart hands to the hub: settings as JSON, with every image and name filled in."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyterhub._data import DATA_FILES_PATH
from kubelab_hub.service import PAGES

from .conftest import CHART

if TYPE_CHECKING:
    from .conftest import Render


def settings(rendered: Render) -> dict[str, Any]:
    """The hub's settings in a render."""
    data = rendered.get("ConfigMap", "jupyterhub-hub")["data"]["settings.json"]
    return dict(json.loads(data))


def test_each_python_has_an_image_of_this_version(default: Render) -> None:
    """The tag is the chart's appVersion and the Python."""
    assert {python["version"]: python["image"] for python in settings(default)["pythons"]} == {
        "3.13": "localhost:5000/kubelab/notebook:0.1.0-py3.13",
        "3.11": "localhost:5000/kubelab/notebook:0.1.0-py3.11",
    }


def test_a_python_may_have_an_image_of_its_own(render: Callable[..., Render]) -> None:
    """Its repository, tag and digest, below the same registry."""
    pythons = {python["version"]: python["image"] for python in settings(render(scenario="multi-python"))["pythons"]}
    digest = "sha256:0f1d2c3b4a5968778695a4b3c2d1e0f00f1d2c3b4a5968778695a4b3c2d1e0f0"
    assert pythons["3.12"] == f"localhost:5000/teaching/statistics:2026.2@{digest}"
    assert pythons["3.8"] == "localhost:5000/kubelab/notebook:0.1.0-py3.8"


def test_the_hub_finds_the_services_of_the_chart(default: Render) -> None:
    """By names and ports that are rendered."""
    for key, port in (("hubUrl", 8081), ("proxyApiUrl", 8001)):
        name, _, number = settings(default)[key].removeprefix("http://").partition(":")
        assert int(number) == port
        assert port in {each["port"] for each in default.get("Service", name)["spec"]["ports"]}
    assert default.get("ServiceAccount", settings(default)["singleuser"]["serviceAccountName"])


@pytest.mark.parametrize(("given", "made"), [("/", "/"), ("/jupyter", "/jupyter/"), ("/a/b/", "/a/b/")])
def test_the_base_url_has_a_slash_at_both_ends(render: Callable[..., Render], given: str, made: str) -> None:
    """In settings, probes and error page alike."""
    rendered = render({"hub": {"baseUrl": given}})
    assert settings(rendered)["baseUrl"] == made
    container = rendered.get("Deployment", "jupyterhub-hub")["spec"]["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["path"] == f"{made}hub/health"
    proxy = rendered.get("Deployment", "jupyterhub-proxy")["spec"]["template"]["spec"]["containers"][0]
    assert f"--error-target=http://jupyterhub-hub:8081{made}hub/error" in proxy["command"]


def test_a_changed_value_restarts_the_hub(render: Callable[..., Render], default: Render) -> None:
    """The checksum in the pod's annotations differs; a label of the proxy leaves the hub alone."""

    def checksums(rendered: Render) -> dict[str, str]:
        annotations = rendered.get("Deployment", "jupyterhub-hub")["spec"]["template"]["metadata"]["annotations"]
        return {key: value for key, value in annotations.items() if key.startswith("checksum/")}

    assert checksums(render({"cull": {"timeout": 7200}})) != checksums(default)
    assert checksums(render({"proxy": {"chp": {"labels": {"a": "b"}}}})) == checksums(default)


def test_the_pages_that_are_mounted_stand_before_others(default: Render) -> None:
    """Byte for byte, where the hub looks first; each block that they replace is one of JupyterHub's page."""
    mounted = default.get("ConfigMap", "jupyterhub-hub-pages")["data"]
    sources = {path.name: path.read_text() for path in (CHART / "files/hub/pages").glob("*.html")}
    assert set(mounted) == {"page.html", "spawn.html"}
    assert {name: text.strip() for name, text in mounted.items()} == {
        name: text.strip() for name, text in sources.items()
    }
    pod = default.get("Deployment", "jupyterhub-hub")["spec"]["template"]["spec"]
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["pages"] == PAGES
    theirs = "".join((Path(DATA_FILES_PATH) / "templates" / name).read_text() for name in ("page.html", "spawn.html"))
    blocks = re.findall(r"{% block (\w+)", "".join(sources.values()))
    assert sorted(set(blocks)) == ["heading", "nav_bar_left_items", "script", "stylesheet"]
    assert set(blocks) <= set(re.findall(r"{%-? block (\w+)", theirs))


def test_the_code_that_is_mounted_is_the_code_in_the_chart(default: Render) -> None:
    """Byte for byte, and every module that a module imports is there."""
    mounted = default.get("ConfigMap", "jupyterhub-hub-code")["data"]
    sources = {path.name: path.read_text() for path in (CHART / "files/hub/kubelab_hub").glob("*.py")}
    assert {name: text.strip() for name, text in mounted.items()} == {
        name: text.strip() for name, text in sources.items()
    }
    config = default.get("ConfigMap", "jupyterhub-hub")["data"]["jupyterhub_config.py"]
    imported = {
        (node.module or "").removeprefix("kubelab_hub.") + ".py"
        for text in [config, *mounted.values()]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kubelab_hub.")
    }
    assert imported <= set(mounted)
