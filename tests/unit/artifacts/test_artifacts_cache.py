"""The cache: whole or not at all, verified, shared between checkouts, and safe for two at once."""

from __future__ import annotations

import errno
import shutil
import threading
from pathlib import Path

import pytest

from kubelab_helpers import resources
from kubelab_helpers.artifacts import cache, source
from kubelab_helpers.artifacts.catalog import Artifact, load_catalog
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.result import SilentReporter


def test_a_damaged_file_is_made_again(cache_home: Path) -> None:
    """A program is compiled for real, damaged without changing its size, and compiled again."""
    store = Store("modules")
    path = store.fetch(["pause"], SilentReporter())["pause"]
    good = path.read_bytes()
    assert store.missing(["pause"]) == []
    path.write_bytes(b"\0" * len(good))
    assert store.missing(["pause"]) == ["pause"]
    assert store.fetch(["pause"], SilentReporter())["pause"].read_bytes() == good


def test_a_copied_cache_is_hashed_and_taken(cache_home: Path) -> None:
    store = Store("modules")
    path = store.fetch(["pause"], SilentReporter())["pause"]
    path.touch()
    assert store.missing(["pause"]) == []


def test_two_at_once_make_an_artifact_once(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, together = [], threading.Barrier(2)
    real = source.build.produce

    def produce(artifact: Artifact, target: Path) -> None:
        made.append(artifact.name)
        real(artifact, target)

    monkeypatch.setattr(source.build, "produce", produce)
    errors: list[BaseException] = []

    def fetch() -> None:
        try:
            together.wait(timeout=10)
            Store("modules").fetch(["pause"], SilentReporter())
        except BaseException as error:  # noqa: BLE001 — a thread's failure must reach the test
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert made == ["pause"]


def test_an_interrupted_artifact_leaves_nothing(cache_home: Path) -> None:
    target = cache.entry("pause", "key", "modules")

    def interrupted(content: Path) -> None:
        content.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.store(target, interrupted)
    assert not cache.is_intact(target)
    assert list(target.folder.parent.iterdir()) == []


def test_a_full_disk_says_how_much_there_is(cache_home: Path) -> None:
    def fill(content: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BlockedError, match=r"GiB free under .* needs \d+ GiB"):
        cache.store(cache.entry("pause", "key", "modules"), fill)


def test_keys_do_not_depend_on_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load_catalog()
    shutil.copytree(resources.path("host-setup"), tmp_path / "host-setup")
    monkeypatch.setattr(resources, "root", lambda: tmp_path)
    there = load_catalog()
    assert {name: there.key(name) for name in there.artifacts} == {name: here.key(name) for name in here.artifacts}


def test_a_key_follows_its_inputs_and_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(resources.path("host-setup"), tmp_path / "host-setup")
    monkeypatch.setattr(resources, "root", lambda: tmp_path)
    catalog = load_catalog()
    before = {name: catalog.key(name) for name in catalog.artifacts}
    with (tmp_path / "host-setup/sources/pause.c").open("a") as file:
        file.write("\n")
    changed = {name for name in catalog.artifacts if catalog.key(name) != before[name]}
    assert changed == {"pause", "image-pause"}
