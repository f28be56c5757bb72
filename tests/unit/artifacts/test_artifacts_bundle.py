"""Bundles: both forms carry all that images need, and nothing is taken from them that their manifest does not say."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kubelab_helpers.artifacts import upstream
from kubelab_helpers.artifacts.bundle import MANIFEST, create_bundle, write_bundle
from kubelab_helpers.artifacts.catalog import Catalog
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import InvalidInputError, KubelabError
from kubelab_helpers.result import SilentReporter
from tests.unit.artifacts.support import SMALL, TOOL, files_in, sha256

FORMS = ("kubelab", "kubelab.tar")
NAMES = ("image-tool", "plugins")


@pytest.fixture
def folder(tmp_path: Path, catalog: Catalog, cache_home: Path) -> Path:
    """Return a bundle's folder, with nothing left in the cache that it was made from."""
    create_bundle(["plugins"], tmp_path / "kubelab", Store("upstream", catalog=catalog), SilentReporter())
    shutil.rmtree(cache_home)
    return tmp_path / "kubelab"


def take(bundle: Path, catalog: Catalog, name: str = "plugins") -> Path:
    return Store("bundle", bundle, catalog).fetch([name], SilentReporter())[name]


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(upstream, "session", refuse)
    monkeypatch.setattr(upstream, "is_reachable", refuse)


@pytest.mark.parametrize("form", FORMS)
def test_round_trip(
    form: str, tmp_path: Path, cache_home: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("upstream", catalog=catalog)
    image = store.fetch(NAMES, SilentReporter())["image-tool"].read_bytes()
    assert create_bundle(NAMES, tmp_path / form, store, SilentReporter()) == ["base", "tool", "plugins"]
    assert (tmp_path / form).is_dir() == (form == "kubelab")
    shutil.rmtree(cache_home)
    no_network(monkeypatch)

    there = Store("bundle", tmp_path / form, catalog).fetch([*NAMES, "tool"], SilentReporter())
    assert there["image-tool"].read_bytes() == image
    assert there["tool"].read_bytes() == TOOL
    assert there["tool"].stat().st_mode & 0o777 == 0o755
    assert {each.name: each.read_bytes() for each in there["plugins"].iterdir()} == {"one": b"first", "two": b"second"}

    # A later run finds what came from the bundle without being told of it, and without asking the network.
    assert Store(catalog=catalog).missing(NAMES) == []
    assert Store(catalog=catalog).fetch(NAMES, SilentReporter()) == {name: there[name] for name in NAMES}


def test_programs_are_executable_though_the_stick_keeps_no_modes(folder: Path, catalog: Catalog) -> None:
    (folder / "plugins/one").chmod(0o644)
    assert (take(folder, catalog) / "one").stat().st_mode & 0o777 == 0o755


def test_an_image_without_its_parts_is_refused(tmp_path: Path, catalog: Catalog) -> None:
    contents = Store("upstream", catalog=catalog).fetch(["image-tool", "tool"], SilentReporter())
    with pytest.raises(InvalidInputError, match="base"):
        write_bundle(tmp_path / "kubelab", catalog, contents)
    assert not (tmp_path / "kubelab").exists()


def test_what_the_manifest_does_not_list_stays_behind(folder: Path, catalog: Catalog) -> None:
    (folder / "plugins/evil").write_text("run me")
    (folder / "plugins/more").mkdir()
    (folder / "plugins/more/evil").write_text("run me too")
    assert files_in(take(folder, catalog)) == ["one", "two"]


def set_files(folder: Path, files: dict[str, str]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["artifacts"]["plugins"]["files"] |= files
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "name",
    [
        "outside",
        "../outside",
        "plugins/../../outside",
        "plugins/../../kubelab/plugins/one",
        "plugins/../plugins/one",
        "plugins/./../outside",
        "{outside}",
        "",
        ".",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, folder: Path, catalog: Catalog, cache_home: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_bytes(b"first")
    set_files(folder, {name.format(outside=outside): sha256(b"first")})
    before = files_in(folder.parent)
    with pytest.raises(KubelabError, match="plugins"):
        take(folder, catalog)
    # Locks aside, a refusal leaves nothing behind, inside the cache or out of it.
    assert [each for each in files_in(folder.parent) if each not in before and not each.endswith("lock")] == []


def change(folder: Path) -> None:
    (folder / "plugins/two").write_bytes(b"third!")


def remove(folder: Path) -> None:
    (folder / "plugins/two").unlink()


def replace_by_link(folder: Path) -> None:
    (folder / "plugins/two").unlink()
    (folder / "plugins/two").symlink_to("/etc/passwd")


@pytest.mark.parametrize("damage", [change, remove, replace_by_link])
@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_bundle_is_refused_by_name(
    form: str, damage: Callable[[Path], None], folder: Path, catalog: Catalog
) -> None:
    damage(folder)
    bundle = folder
    if form.endswith(".tar"):
        bundle = folder.with_suffix(".tar")
        with tarfile.open(bundle, "w") as tar:
            tar.add(folder, arcname=".")
    with pytest.raises(KubelabError, match=r"plugins.*plugins/two|plugins.*/etc/passwd"):
        take(bundle, catalog)
    assert Store("bundle", bundle, catalog).missing(["plugins"]) == ["plugins"]


@pytest.mark.parametrize("name", ["plugins/../../evil", "/evil", "plugins/one"])
def test_a_tar_cannot_write_elsewhere(name: str, folder: Path, catalog: Catalog) -> None:
    bundle = folder.with_suffix(".tar")
    with tarfile.open(bundle, "w") as tar:
        tar.add(folder / MANIFEST, arcname=MANIFEST)
        entry = tarfile.TarInfo(name)
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    with pytest.raises(KubelabError, match="plugins"):
        take(bundle, catalog)
    assert [each for each in files_in(folder.parent) if "evil" in each] == []


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '{"artifacts": []}', '{"artifacts": {"plugins": {}}}'])
def test_what_is_no_bundle(text: str | None, tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "other").mkdir()
    if text is not None:
        (tmp_path / "other" / MANIFEST).write_text(text)
    with pytest.raises(InvalidInputError, match="bundle"):
        take(tmp_path / "other", catalog)


def test_a_file_that_is_no_tar(tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "kubelab.tar").write_text("no tar")
    with pytest.raises(InvalidInputError, match="bundle"):
        take(tmp_path / "kubelab.tar", catalog)
    with pytest.raises(InvalidInputError, match="bundle"):
        take(tmp_path / "not-there", catalog)


def test_another_recipe_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.artifacts.support import small_catalog

    monkeypatch.setitem(SMALL["artifacts"]["plugins"], "version", "4.6")
    with pytest.raises(InvalidInputError, match=r"the bundle has no plugins 4\.6"):
        take(folder, small_catalog(tmp_path))


def test_the_source_bundle_needs_one(catalog: Catalog) -> None:
    with pytest.raises(InvalidInputError, match="bundle"):
        Store("bundle", catalog=catalog)
