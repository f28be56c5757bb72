"""Every scenario of the chart, as the API server takes it: a server-side dry run, its defaults and its admission."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.dynamic import DynamicClient

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.release.deploy import NAMESPACE
from kubelab_helpers.result import SilentReporter

from .lab import ROOT, Lab

CHART = ROOT / "charts" / "jupyterhub-multi"
SCENARIOS = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE = "dry"
"""Another name than the lab's own, so that nothing that is there is compared with."""
EXTENSIONS = {"HTTPRoute"}
"""Kinds that this cluster does not know."""


def render(file: Path) -> list[dict[str, Any]]:
    """Return what Helm makes of a scenario; the node ports are the lab's own already."""
    helm = str(Store().fetch(["helm"], SilentReporter())["helm"])
    ports = [f"--set=proxy.service.nodePorts.{each}=null" for each in ("http", "https")]
    command = [helm, "template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", f"--values={file}", *ports]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.mark.parametrize("file", SCENARIOS, ids=[each.name.removesuffix("-values.yaml") for each in SCENARIOS])
def test_the_api_server_takes_every_object(lab: Lab, file: Path) -> None:
    dynamic: Any = DynamicClient(lab.api)  # type: ignore[no-untyped-call]  # it has no types there
    taken = 0
    for each in render(file):
        if each["kind"] in EXTENSIONS:
            continue
        kind = dynamic.resources.get(api_version=each["apiVersion"], kind=each["kind"])
        namespace = each["metadata"].get("namespace", NAMESPACE) if kind.namespaced else None
        answer = dynamic.server_side_apply(
            kind, body=each, namespace=namespace, dry_run="All", field_manager="kubelab-tests", force_conflicts=True
        )
        assert answer.metadata.name == each["metadata"]["name"]
        taken += 1
    assert taken > 20
