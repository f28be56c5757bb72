"""A bundle told and verified before it is needed."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from kubelab_helpers.artifacts.bundle import BundledImage, ImageLayout, open_bundle, read_images, write_bundle
from kubelab_helpers.artifacts.cache import sha256_of
from kubelab_helpers.artifacts.catalog import load_catalog
from kubelab_helpers.artifacts.inspection import inspect_bundle, verify_bundle
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.result import SilentReporter

CATALOG = load_catalog()


@pytest.fixture(params=["bundle", "bundle.tar"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a bundle of two parts, once as a folder and once as a tar."""
    parts = {}
    for name in ("kubelet", "runc"):
        parts[name] = tmp_path / name
        parts[name].write_bytes(name.encode() * 1000)
    target = tmp_path / str(request.param)
    write_bundle(target, CATALOG, parts)
    return target


def rewrite(bundle: Path, name: str, content: bytes) -> Path:
    """Return the bundle, with other content in one file, as a folder."""
    folder = bundle.parent / "rewritten"
    if bundle.is_dir():
        bundle.rename(folder)
    else:
        with tarfile.open(bundle) as tar:
            tar.extractall(folder, filter="data")
    (folder / name).write_bytes(content)
    return folder


def test_what_is_in_it(bundle: Path) -> None:
    found = inspect_bundle(bundle, CATALOG, ["kubelet", "runc", "containerd"])
    assert [(part.name, part.files, part.current) for part in found.parts] == [("kubelet", 1, True), ("runc", 1, True)]
    assert found.parts[0].version == CATALOG.get("kubelet").version
    assert found.lacking == ("containerd",)


def test_another_recipe_is_told_and_lacking(bundle: Path) -> None:
    folder = rewrite(bundle, "unused", b"")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["artifacts"]["runc"]["key"] = "other"
    manifest["artifacts"]["gone"] = {"key": "x", "files": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = inspect_bundle(folder, CATALOG, ["kubelet", "runc"])
    assert {part.name: part.current for part in found.parts} == {"gone": False, "kubelet": True, "runc": False}
    assert found.lacking == ("runc",)


def test_a_whole_bundle_is_whole(bundle: Path) -> None:
    assert verify_bundle(bundle, SilentReporter()) == []


def test_a_damaged_file_is_named(bundle: Path) -> None:
    assert verify_bundle(rewrite(bundle, "runc", b"short"), SilentReporter()) == ["runc"]


def test_a_missing_file_is_named(bundle: Path) -> None:
    folder = rewrite(bundle, "unused", b"")
    (folder / "kubelet").unlink()
    assert verify_bundle(folder, SilentReporter()) == ["kubelet"]


def test_what_is_no_bundle(tmp_path: Path) -> None:
    for call in (lambda: inspect_bundle(tmp_path, CATALOG, []), lambda: verify_bundle(tmp_path, SilentReporter())):
        with pytest.raises(InvalidInputError, match="is no kubelab bundle"):
            call()


@pytest.fixture(params=["bundle", "bundle.tar"])
def image_bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a bundle with one part and the layout of one image."""
    part, layout = tmp_path / "runc", tmp_path / "layout"
    part.write_bytes(b"runc")
    (layout / "blobs").mkdir(parents=True)
    (layout / "blobs" / "one").write_bytes(b"blob")
    image = BundledImage("key", "localhost:5000/kubelab/hub:1", "sha256:x", {"blobs/one": sha256_of(part)})
    good = replace(image, files={"blobs/one": sha256_of(layout / "blobs" / "one")})
    target = tmp_path / str(request.param)
    write_bundle(target, CATALOG, {"runc": part}, ImageLayout(layout, {"hub": good, "bad": image}))
    return target


def test_images_of_a_bundle_are_told_by_what_they_were_built_from(image_bundle: Path) -> None:
    found = inspect_bundle(image_bundle, CATALOG, ["runc"], {"hub": "key", "proxy": "other"})
    assert [(part.name, part.version, part.current) for part in found.parts] == [
        ("runc", CATALOG.get("runc").version, True),
        ("image bad", "1", False),
        ("image hub", "1", True),
    ]
    assert found.lacking == ("image proxy",)


def test_a_bundle_of_a_cluster_alone_lacks_no_images(bundle: Path) -> None:
    assert inspect_bundle(bundle, CATALOG, ["runc"], {"hub": "key"}).lacking == ()


def test_files_of_images_are_verified_and_read(image_bundle: Path) -> None:
    """Two images say otherwise of one blob: the one whose hash is wrong is told."""
    assert verify_bundle(image_bundle, SilentReporter()) == ["images/blobs/one"]
    with open_bundle(image_bundle) as open_file:
        assert read_images(open_file, image_bundle)["hub"].reference == "localhost:5000/kubelab/hub:1"
        with open_file("images/blobs/one") as file:
            assert file.read() == b"blob"
