"""Every released chart is kept as it was, so that upgrades from it can be tested."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

RELEASED = sorted((Path(__file__).resolve().parents[1] / "fixtures/charts").glob("*.tgz"))


def test_the_first_chart_is_kept() -> None:
    assert "jupyterhub-multi-0.1.0.tgz" in [each.name for each in RELEASED]


@pytest.mark.parametrize("package", RELEASED, ids=lambda each: each.name)
def test_a_kept_chart_is_the_version_that_it_says_and_still_renders(package: Path, helm: str) -> None:
    with tarfile.open(package) as tar:
        file = tar.extractfile("jupyterhub-multi/Chart.yaml")
        assert file is not None
        version = yaml.safe_load(file)["version"]
    assert package.name == f"jupyterhub-multi-{version}.tgz"
    rendered = subprocess.run(
        [helm, "template", "jupyterhub", str(package)], capture_output=True, text=True, timeout=60
    )
    assert rendered.returncode == 0, rendered.stderr
    assert "kind: Deployment" in rendered.stdout
