"""The wheel works outside a checkout: it carries charts/, images/ and host-setup/."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which the wheel, built from this tree, is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    wheel = next((folder / "dist").glob("*.whl"))
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=120)
    return target


def run_installed(installed: Path, code: str) -> str:
    """Run Python code against the installed wheel, in a folder that is no checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, cwd=installed.parent, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_every_data_file_is_in_the_wheel(installed: Path) -> None:
    code = """
import json
from kubelab_helpers import resources
root = resources.root()
files = [str(each.relative_to(root)) for each in root.rglob("*") if each.is_file()]
print(json.dumps([str(root), files]))
"""
    root, files = json.loads(run_installed(installed, code))
    listed = subprocess.run(
        ["git", "ls-files", "charts", "images", "host-setup"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert Path(root).is_relative_to(installed)
    assert set(listed) <= set(files)


def test_the_catalogues_are_read_from_the_wheel(installed: Path) -> None:
    code = """
from kubelab_helpers.artifacts.catalog import load_catalog as load_artifacts
from kubelab_helpers.images.catalog import load_catalog as load_images
print("kubelet" in load_artifacts().artifacts, "hub" in load_images().images)
"""
    assert run_installed(installed, code).split() == ["True", "True"]
