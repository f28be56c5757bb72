"""Recipes: what is refused, what a bundle carries, what an image is made of, and what a wrong go.sum says."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from kubelab_helpers import resources
from kubelab_helpers.artifacts import build, bundle, cache, oci
from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.catalog import load_catalog
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.result import SilentReporter


def changed_catalogue(tmp_path: Path, **changes: object) -> Path:
    """Write artifacts.yaml with another entry for `pause`."""
    data = yaml.safe_load(resources.path("host-setup/artifacts.yaml").read_text())
    data["artifacts"]["pause"] |= changes
    path = tmp_path / "artifacts.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"knd": "binary"}, "knd"),
        ({"kind": "package"}, "package"),
        ({"upstream": {"url": "http://example.org/pause"}}, "http://example.org/pause"),
        ({"user": "root"}, "root"),
    ],
)
def test_a_wrong_recipe_is_refused(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=said):
        load_catalog(changed_catalogue(tmp_path, **changes))


def test_a_part_that_no_recipe_makes_is_refused(tmp_path: Path) -> None:
    layers = {"files": {"/pause": "puase"}}
    with pytest.raises(InvalidInputError, match="puase") as raised:
        load_catalog(changed_catalogue(tmp_path, layers=layers))
    assert raised.value.next_step == "did you mean pause?"


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_a_bundle_carries_what_an_image_is_made_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    maker = Store("modules")
    target = tmp_path / name
    assert bundle.create_bundle(["image-pause"], target, maker, SilentReporter()) == ["pause"]
    wanted = maker.fetch(["image-pause"], SilentReporter())["image-pause"].read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second"))
    user = Store("bundle", target)
    assert user.fetch(["image-pause"], SilentReporter())["image-pause"].read_bytes() == wanted
    assert Store("auto").missing(["pause"]) == []


def make_bundle(tmp_path: Path, cache_home: Path) -> Path:
    """Return a bundle folder with pause in it, and an empty cache."""
    target = tmp_path / "bundle"
    bundle.create_bundle(["pause"], target, Store("modules"), SilentReporter())
    shutil.rmtree(cache_home)
    return target


def test_a_changed_file_in_a_bundle_is_refused(tmp_path: Path, cache_home: Path) -> None:
    target = make_bundle(tmp_path, cache_home)
    (target / "pause").write_bytes(b"other")
    with pytest.raises(ChecksumError, match="pause"):
        Store("bundle", target).fetch(["pause"], SilentReporter())


def test_a_bundle_cannot_name_files_outside_itself(tmp_path: Path, cache_home: Path) -> None:
    target = make_bundle(tmp_path, cache_home)
    (tmp_path / "outside").write_bytes(b"other")
    manifest = json.loads((target / bundle.MANIFEST).read_text())
    manifest["artifacts"]["pause"]["files"] = {"../outside": cache.sha256_of(tmp_path / "outside")}
    (target / bundle.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ChecksumError, match="outside"):
        Store("bundle", target).fetch(["pause"], SilentReporter())


def test_a_bundle_of_another_version_is_refused(tmp_path: Path, cache_home: Path) -> None:
    target = make_bundle(tmp_path, cache_home)
    manifest = json.loads((target / bundle.MANIFEST).read_text())
    manifest["artifacts"]["pause"]["key"] = "0" * 24
    (target / bundle.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InvalidInputError, match=r"pause 3\.10\.2"):
        Store("bundle", target).fetch(["pause"], SilentReporter())


def test_an_image_archive_is_deterministic_and_names_itself(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    content = oci.ImageContent(
        "amd64", {"/usr/local/bin/program": program}, ["/usr/local/bin/program"], "65532:65532", links={"/p": "usr"}
    )
    archives = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for archive in archives:
        oci.write_archive(archive, "localhost:5000/kubelab/program:1", content)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as tar:
        index = json.load(tar.extractfile("index.json") or io.BytesIO())
        described = index["manifests"][0]
        manifest = json.load(tar.extractfile("blobs/" + described["digest"].replace(":", "/")) or io.BytesIO())
        config = json.load(tar.extractfile("blobs/" + manifest["config"]["digest"].replace(":", "/")) or io.BytesIO())
        layer = tar.extractfile("blobs/" + manifest["layers"][0]["digest"].replace(":", "/")) or io.BytesIO()
        with tarfile.open(fileobj=layer) as files:
            entries = {each.name: each for each in files}
    assert described["annotations"]["io.containerd.image.name"] == "localhost:5000/kubelab/program:1"
    assert described["digest"] == oci.manifest_digest(archives[0])
    assert config["config"]["User"] == "65532:65532"
    assert entries["usr/local/bin/program"].mode == 0o755
    assert entries["p"].linkname == "usr"


def test_a_go_sum_mismatch_names_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module served from a folder of this machine, by Go's own file protocol, is not what go.sum pins."""
    proxy = tmp_path / "proxy/example.org/dependency/@v"
    proxy.mkdir(parents=True)
    (proxy / "v1.0.0.mod").write_text("module example.org/dependency\n\ngo 1.21\n")
    (proxy / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (proxy / "list").write_text("v1.0.0\n")
    import zipfile

    with zipfile.ZipFile(proxy / "v1.0.0.zip", "w") as archive:
        root = "example.org/dependency@v1.0.0"
        archive.writestr(f"{root}/go.mod", "module example.org/dependency\n\ngo 1.21\n")
        archive.writestr(f"{root}/main.go", "package main\n\nfunc main() {}\n")
    folder = tmp_path / "host-setup/modules/tool"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module tool\n\ngo 1.21\n\nrequire example.org/dependency v1.0.0\n")
    wrong = "h1:" + "A" * 43 + "="
    (folder / "go.sum").write_text(
        f"example.org/dependency v1.0.0 {wrong}\nexample.org/dependency v1.0.0/go.mod {wrong}\n"
    )
    monkeypatch.setattr(resources, "root", lambda: tmp_path)
    for name, value in {
        "GOPROXY": (tmp_path / "proxy").as_uri(),
        "GOMODCACHE": str(tmp_path / "modules"),
        "GONOSUMDB": "*",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ChecksumError, match=r"example\.org/dependency@v1\.0\.0") as raised:
        build.build_go({"module": "tool"}, "example.org/dependency", tmp_path / "out")
    assert "go.sum" in raised.value.what
    assert "-modcache" in raised.value.next_step
