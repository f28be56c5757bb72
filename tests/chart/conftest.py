"""Renders of the chart with the real Helm, once a session, and read by (kind, name)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.result import SilentReporter

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "jupyterhub-multi"
RELEASE = "jupyterhub"
NAMESPACE = "jupyterhub"
SCENARIOS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
"""The named scenarios that `ct lint` goes through too."""

# The hub's code is a package below the chart's files, as PYTHONPATH names it in its pod; scripts stand side by side.
sys.path[:0] = [str(CHART / "files" / name) for name in ("hub", "tls")]

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Container:
    """One container of a render: the object it belongs to, its pod and itself."""

    owner: Manifest
    pod: Manifest
    spec: Manifest

    @property
    def name(self) -> str:
        """`Deployment/jupyterhub-hub/hub`."""
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}/{self.spec['name']}"


@dataclass(frozen=True)
class Render:
    """What `helm template` gave: the text, and its objects."""

    text: str
    objects: tuple[Manifest, ...]

    def get(self, kind: str, name: str) -> Manifest:
        """The one object of this kind and name."""
        found = [each for each in self.objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
        assert len(found) == 1, f"{kind}/{name} is there {len(found)} times"
        return found[0]

    def all(self, kind: str) -> list[Manifest]:
        """Every object of this kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def pods(self) -> Iterator[tuple[Manifest, Manifest]]:
        """Every object that makes a pod and that pod, the storage helper's included, which stands in a ConfigMap."""
        for each in self.objects:
            if each["kind"] in {"Deployment", "DaemonSet", "Job"}:
                yield each, {**each["spec"]["template"]}
            elif each["kind"] == "CronJob":
                yield each, {**each["spec"]["jobTemplate"]["spec"]["template"]}
            elif each["kind"] == "Pod":
                yield each, each
            elif "helperPod.yaml" in each.get("data", {}):
                helper = yaml.safe_load(each["data"]["helperPod.yaml"])
                yield helper, helper

    def containers(self) -> list[Container]:
        """Every container of every pod."""
        return [
            Container(owner, pod, container)
            for owner, pod in self.pods()
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        ]


@pytest.fixture(scope="session")
def helm() -> str:
    """Return the real Helm: KUBELAB_HELM, PATH, or kubelab's own, which is fetched or built if it is not cached."""
    if named := os.environ.get("KUBELAB_HELM") or shutil.which("helm"):
        return named
    return str(Store().fetch(["helm"], SilentReporter())["helm"])


@pytest.fixture(scope="session")
def template(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `helm template` with values, and with files of `ci/`."""
    folder = tmp_path_factory.mktemp("values")

    def run(
        values: Mapping[str, Any] | None = None, *, scenario: str = "", release: str = RELEASE
    ) -> subprocess.CompletedProcess[str]:
        command = [helm, "template", release, str(CHART), "--namespace", NAMESPACE]
        if scenario:
            command += ["--values", str(CHART / "ci" / f"{scenario}-values.yaml")]
        if values is not None:
            file = folder / "values.yaml"
            file.write_text(yaml.safe_dump(dict(values)))
            command += ["--values", str(file)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture(scope="session")
def render(template: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Render]:
    """Return a function that renders the chart, which must succeed."""

    def run(values: Mapping[str, Any] | None = None, *, scenario: str = "", release: str = RELEASE) -> Render:
        done = template(values, scenario=scenario, release=release)
        assert done.returncode == 0, done.stderr
        return Render(done.stdout, tuple(each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each))

    return run


@pytest.fixture(scope="session")
def default(render: Callable[..., Render]) -> Render:
    """Return the render of the chart's own values."""
    return render()


@pytest.fixture(scope="session", params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, render: Callable[..., Render]) -> Render:
    """Return the render of each scenario in turn."""
    return render(scenario=request.param)
