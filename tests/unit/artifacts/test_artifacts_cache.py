"""What is damaged in the cache is noticed and made again, once; and nobody makes what another makes just now."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kubelab_helpers.artifacts import cache
from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.catalog import Catalog
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.result import SilentReporter
from tests.unit.artifacts.support import TOOL, TOOL_URL, FileServer, sha256

PLUGINS_URL = "https://plugins.test/p.tgz"


def fetch(catalog: Catalog, name: str) -> Path:
    return Store("upstream", catalog=catalog).fetch([name], SilentReporter())[name]


def same_size(folder: Path) -> None:
    (folder / "one").write_bytes(b"FIRST")


def other_size(folder: Path) -> None:
    (folder / "one").write_bytes(b"f")


def removed(folder: Path) -> None:
    (folder / "one").unlink()


def added(folder: Path) -> None:
    (folder / "three").write_bytes(b"third")


def manifest_lost(folder: Path) -> None:
    (folder.parent / "manifest.json").write_text("")


@pytest.mark.parametrize("damage", [same_size, other_size, removed, added, manifest_lost])
def test_damage_is_noticed_and_repaired(damage: Callable[[Path], None], server: FileServer, catalog: Catalog) -> None:
    folder = fetch(catalog, "plugins")
    assert fetch(catalog, "plugins") == folder
    assert server.asked[PLUGINS_URL] == 1
    damage(folder)
    again = fetch(catalog, "plugins")
    assert {each.name: each.read_bytes() for each in again.iterdir()} == {"one": b"first", "two": b"second"}
    assert server.asked[PLUGINS_URL] == 2


def test_a_repair_that_brings_something_wrong_is_refused_by_name(server: FileServer, catalog: Catalog) -> None:
    path = fetch(catalog, "tool")
    path.write_bytes(TOOL.upper())
    server.put(TOOL_URL, b"another program")
    with pytest.raises(ChecksumError, match=r"^tool 1\.2\.3"):
        fetch(catalog, "tool")
    assert server.asked[TOOL_URL] == 1 + 2
    assert Store("upstream", catalog=catalog).missing(["tool"]) == ["tool"]


def test_a_copied_cache_is_verified_and_not_fetched_again(server: FileServer, catalog: Catalog) -> None:
    fetch(catalog, "tool").touch()
    assert fetch(catalog, "tool").read_bytes() == TOOL
    assert server.asked[TOOL_URL] == 1


def test_two_threads_fetch_one_download(server: FileServer, catalog: Catalog) -> None:
    server.delay_seconds = 0.1
    ready = threading.Barrier(2)
    ends: list[object] = []

    def run() -> None:
        ready.wait(timeout=10)
        try:
            ends.append(fetch(catalog, "tool").read_bytes())
        except Exception as error:  # noqa: BLE001  whatever a thread meets is what the test is about
            ends.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=20)
    assert ends == [TOOL, TOOL]
    assert server.asked[TOOL_URL] == 1


HOLD = """
import sys
from kubelab_helpers.artifacts import cache
with cache.hold_lock(cache.entry("tool", "key", "upstream")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_waited_for(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch waits to its deadline and says for what; the lock dies with its holder."""
    monkeypatch.setattr(cache, "LOCK_TIMEOUT_SECONDS", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BlockedError, match="tool"):
            fetch(catalog, "tool")
        process.kill()
        process.wait(timeout=10)
        assert fetch(catalog, "tool").read_bytes() == TOOL


def test_what_a_killed_process_left_goes(server: FileServer, catalog: Catalog) -> None:
    """`kill -9` leaves half a download under a name of its own; who makes the artifact next sweeps it up."""
    path = fetch(catalog, "tool")
    left = path.parent.with_name(f".{path.parent.name}.0123abcd")
    left.mkdir()
    (left / "content").write_bytes(b"half")
    path.write_bytes(TOOL.upper())
    assert fetch(catalog, "tool").read_bytes() == TOOL
    assert not left.exists()


def test_sha256_is_that_of_the_file(catalog: Catalog) -> None:
    fetch(catalog, "tool")
    fetch(catalog, "plugins")
    store = Store("upstream", catalog=catalog)
    assert store.sha256("tool") == sha256(TOOL)
    assert store.sha256("plugins", "two") == sha256(b"second")


def test_sha256_of_what_is_gone(catalog: Catalog) -> None:
    with pytest.raises(BlockedError, match="tool"):
        Store("upstream", catalog=catalog).sha256("tool")


def test_an_interrupted_artifact_leaves_nothing() -> None:
    target = cache.entry("pause", "key", "modules")

    def interrupted(content: Path) -> None:
        content.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.store(target, interrupted)
    assert not cache.is_intact(target)
    assert list(target.folder.parent.iterdir()) == []


def test_a_full_disk_says_how_much_there_is() -> None:
    def fill(content: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BlockedError, match=r"GiB free under .* needs \d+ GiB"):
        cache.store(cache.entry("pause", "key", "modules"), fill)
