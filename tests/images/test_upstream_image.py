"""The source `upstream` for root file systems: pulled from a registry (here the lab's), only the host replaced."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from kubelab_helpers.artifacts.upstream import export_image
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images.catalog import load_catalog

REGISTRY = "localhost:5000/kubelab"


def test_a_root_file_system_is_exported_from_a_registry(tmp_path: Path) -> None:
    reference = load_catalog().images["proxy"].reference(REGISTRY)
    export_image(reference, tmp_path / "content")
    with tarfile.open(tmp_path / "content") as tar:
        release = tar.extractfile("usr/lib/os-release")
        assert release is not None
        assert b"trixie" in release.read()


def test_an_image_that_is_not_there_says_how_to_repeat_it(tmp_path: Path) -> None:
    with pytest.raises(KubelabError, match="could not be pulled") as raised:
        export_image(f"{REGISTRY}/nothing:1", tmp_path / "content")
    assert raised.value.repeat == f"docker pull {REGISTRY}/nothing:1"
