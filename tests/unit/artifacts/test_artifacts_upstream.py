"""Releases of the projects: their names, layouts and checksum files, with only the host replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubelab_helpers.artifacts import cache, upstream
from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.catalog import Catalog, load_catalog
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.result import SilentReporter
from tests.unit.artifacts.releases import program, publish
from tests.unit.artifacts.support import TOOL, TOOL_URL, FileServer, archive, sha256

RELEASED = [name for name, each in load_catalog().artifacts.items() if "url" in each.recipe.get("upstream", {})]
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PUBLISHED_NAMES = {"chart-testing": "ct"}


def fetch(catalog: Catalog | None, name: str) -> Path:
    return Store("upstream", catalog=catalog).fetch([name], SilentReporter())[name]


def test_all_released_parts_are_here() -> None:
    assert len(RELEASED) >= 17


@pytest.mark.parametrize("arch", MACHINES)
@pytest.mark.parametrize("name", RELEASED)
def test_every_release_is_found_and_verified(
    name: str, arch: str, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: MACHINES[arch])
    publish(server, arch)
    content = fetch(None, name)
    members = load_catalog().get(name).recipe.get("members")
    programs = (
        {content / each: each for each in members}
        if members
        else {content: PUBLISHED_NAMES.get(name, name.partition("@")[0])}
    )
    for path, published in programs.items():
        assert path.read_bytes() == program(published, arch)
        assert os.access(path, os.X_OK)
        assert Store("upstream").sha256(name, path.name if members else "") == sha256(program(published, arch))
    if members:
        assert sorted(each.name for each in content.iterdir()) == sorted(members)


def test_wrong_once_then_right(server: FileServer, catalog: Catalog) -> None:
    server.put(TOOL_URL, b"half of it", TOOL)
    assert fetch(catalog, "tool").read_bytes() == TOOL


def test_wrong_twice_is_refused_by_name(server: FileServer, catalog: Catalog) -> None:
    server.put(TOOL_URL, b"another program")
    with pytest.raises(ChecksumError, match=r"^tool 1\.2\.3: https://tool\.test/1\.2\.3/tool"):
        fetch(catalog, "tool")
    assert server.asked[TOOL_URL] == 2
    assert Store("upstream", catalog=catalog).missing(["tool"]) == ["tool"]


@pytest.mark.parametrize("text", ["", "not a hash", f"{'0' * 64}  another-tool\n", f"{sha256(TOOL)}  tool.asc\n"])
def test_a_checksum_file_that_does_not_name_the_file(text: str, server: FileServer, catalog: Catalog) -> None:
    server.put(f"{TOOL_URL}.sha256", text.encode())
    with pytest.raises(ChecksumError, match="says nothing of tool"):
        fetch(catalog, "tool")


@pytest.mark.parametrize(
    "form", ["{hash}", "{hash}  tool\n", "{hash} *tool\n", "{hash}  ./tool\r\n", "a\n{hash}  tool\nb\n"]
)
def test_forms_of_checksum_files(form: str, server: FileServer, catalog: Catalog) -> None:
    server.put(f"{TOOL_URL}.sha256", form.format(hash=sha256(TOOL)).encode())
    assert fetch(catalog, "tool").read_bytes() == TOOL


def test_an_archive_without_the_member(server: FileServer, catalog: Catalog) -> None:
    url = "https://plugins.test/p.tgz"
    server.put_release(url, archive({"./one": b"first"}), "https://plugins.test/SHA256SUMS")
    with pytest.raises(KubelabError, match=r"p\.tgz holds no \./two"):
        fetch(catalog, "plugins")


def test_a_file_that_is_not_there_is_named(server: FileServer, catalog: Catalog) -> None:
    del server.files[TOOL_URL]
    with pytest.raises(KubelabError, match=TOOL_URL) as caught:
        fetch(catalog, "tool")
    assert caught.value.repeat.startswith("curl ")
    assert "bundle" in caught.value.next_step


def test_a_download_without_space_is_blocked(
    server: FileServer, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = upstream._download
    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setattr(upstream, "_download", lambda http, url, _: download(http, url, tmp_path / "full"))
    with pytest.raises(BlockedError, match=r"no space .* free .* needs"):
        fetch(catalog, "tool")
    assert server.asked[TOOL_URL] == 1


def test_what_will_not_fit_is_not_begun(
    server: FileServer, catalog: Catalog, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_free_bytes", lambda _: len(TOOL) - 1)
    with pytest.raises(BlockedError, match=r"no space .* free under .* this needs \d+ MiB"):
        fetch(catalog, "tool")
    assert [each for each in cache_home.rglob("*") if each.is_file() and each.name != ".lock"] == []
    monkeypatch.setattr(cache, "_free_bytes", lambda _: len(TOOL))
    assert fetch(catalog, "tool").read_bytes() == TOOL


def test_a_connection_that_breaks_is_told(server: FileServer, catalog: Catalog) -> None:
    server.broken.add(TOOL_URL)
    with pytest.raises(KubelabError, match=TOOL_URL) as caught:
        fetch(catalog, "tool")
    assert caught.value.repeat == f"curl --fail --location --remote-name {TOOL_URL}"
    server.broken.clear()
    assert fetch(catalog, "tool").read_bytes() == TOOL
