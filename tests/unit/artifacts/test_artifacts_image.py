"""Composed images: the same bytes each time, and what the OCI layout and `docker load` want of them."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers.artifacts import oci
from kubelab_helpers.artifacts.catalog import Catalog, architecture
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.result import SilentReporter

REFERENCE = "localhost:5000/kubelab/tool:1.2.3"


@pytest.fixture
def content(tmp_path: Path) -> oci.ImageContent:
    base, tool = tmp_path / "base.tar", tmp_path / "tool"
    with tarfile.open(base, "w") as tar:
        tar.addfile(tarfile.TarInfo("etc"))
    tool.write_bytes(b"program")
    return oci.ImageContent(
        "amd64", {"/usr/bin/tool": tool}, ("/usr/bin/tool",), "1:1", base, {"/sbin/tool": "../usr/bin/tool"}
    )


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {each.name: (tar.extractfile(each) or io.BytesIO()).read() for each in tar}


def written(target: Path, content: oci.ImageContent) -> bytes:
    oci.write_archive(target, REFERENCE, content)
    return target.read_bytes()


def test_the_same_parts_give_the_same_bytes(content: oci.ImageContent, tmp_path: Path) -> None:
    first = written(tmp_path / "first", content)
    tool = tmp_path / "tool"
    tool.touch()
    tool.chmod(0o700)
    assert written(tmp_path / "second", content) == first
    tool.write_bytes(b"Program")
    assert written(tmp_path / "third", content) != first
    assert not list(tmp_path.glob("*.layer"))


def test_every_blob_is_what_its_name_says(content: oci.ImageContent, tmp_path: Path) -> None:
    written(tmp_path / "image", content)
    found = members(tmp_path / "image")
    blobs = {name: data for name, data in found.items() if name.startswith("blobs/")}
    assert len(blobs) == 4
    for name, data in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_structure(content: oci.ImageContent, tmp_path: Path) -> None:
    written(tmp_path / "image", content)
    found = members(tmp_path / "image")

    def blob(described: dict[str, Any]) -> bytes:
        data = found["blobs/" + described["digest"].replace(":", "/")]
        assert len(data) == described["size"]
        return data

    (described,) = json.loads(found["index.json"])["manifests"]
    assert described["annotations"] == {
        "io.containerd.image.name": REFERENCE,
        "org.opencontainers.image.ref.name": "1.2.3",
    }
    assert oci.manifest_digest(tmp_path / "image") == described["digest"]
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    layers = [blob(each) for each in manifest["layers"]]
    assert layers[0] == (tmp_path / "base.tar").read_bytes()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    assert (config["architecture"], config["os"]) == ("amd64", "linux")
    assert config["config"]["User"] == "1:1"
    assert config["config"]["Entrypoint"] == ["/usr/bin/tool"]
    (loaded,) = json.loads(found["manifest.json"])
    assert loaded["RepoTags"] == [REFERENCE]
    assert found[loaded["Config"]] == blob(manifest["config"])
    assert [found[each] for each in loaded["Layers"]] == layers
    with tarfile.open(fileobj=io.BytesIO(layers[1])) as tar:
        entries = {each.name: each for each in tar}
    assert list(entries) == ["usr", "usr/bin", "usr/bin/tool", "sbin/tool"]
    assert (entries["usr/bin/tool"].mode, entries["usr/bin/tool"].uid, entries["usr/bin/tool"].mtime) == (0o755, 0, 0)
    assert entries["sbin/tool"].linkname == "../usr/bin/tool"


def test_the_store_composes_from_parts(catalog: Catalog) -> None:
    path = Store("upstream", catalog=catalog).fetch(["image-tool"], SilentReporter())["image-tool"]
    found = members(path)
    (loaded,) = json.loads(found["manifest.json"])
    assert loaded["RepoTags"] == [REFERENCE]
    config = json.loads(found[loaded["Config"]])
    assert config["architecture"] == architecture()
    assert config["config"]["User"] == "65532:65532"
    assert len(loaded["Layers"]) == 2


def test_composing_without_space_is_blocked(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    write_layer = oci._write_layer

    def fill(target: Path, *more: Any) -> None:
        target.symlink_to("/dev/full")
        write_layer(target, *more)

    monkeypatch.setattr(oci, "_write_layer", fill)
    with pytest.raises(BlockedError, match=r"no space .* free .* needs") as caught:
        Store("upstream", catalog=catalog).fetch(["image-tool"], SilentReporter())
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
