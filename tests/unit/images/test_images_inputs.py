"""Input hashes: everything that decides an image's content changes them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from kubelab_helpers.images.catalog import Image, Python
from kubelab_helpers.images.inputs import folder_stamp, image_hash

IMAGE = Image(
    name="n-py3.13",
    repository="n",
    title="n",
    folder="n",
    tag="1",
    base="root",
    python=Python("3.13", date(2029, 10, 31), "root"),
    own_files="locks/py{python}.txt",
    arguments=(("A", "1"), ("B", "base:other")),
)
KEYS = {"root": "k1", "other": "k2"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / ".dockerignore").write_text("# not sent\n**/__pycache__\nlocks/*.in\n\n")
    (tmp_path / "run").write_text("#!/bin/sh\n")
    for name in ("py3.11.txt", "py3.13.txt", "common.txt", "user.in"):
        (tmp_path / "locks" / name).write_text(name)
    return tmp_path


def hash_of(folder: Path, image: Image = IMAGE, keys: dict[str, str] = KEYS, parent: str = "p") -> str:
    return image_hash(image, folder, keys, parent, "localhost:5000/kubelab")


def append(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + "x")

    return change


@pytest.mark.parametrize(
    "change",
    [
        append("Dockerfile"),
        append("locks/py3.13.txt"),
        append("locks/common.txt"),
        append("new"),
        append(".dockerignore"),
        lambda folder: (folder / "run").chmod(0o755),
        lambda folder: (folder / "run").rename(folder / "walk"),
        lambda folder: (folder / "locks/common.txt").unlink(),
    ],
)
def test_what_the_build_sees_changes_the_hash(folder: Path, change: Callable[[Path], None]) -> None:
    (folder / "run").chmod(0o644)
    before = hash_of(folder)
    change(folder)
    assert hash_of(folder) != before


@pytest.mark.parametrize(
    "change",
    [
        append("locks/py3.11.txt"),
        append("locks/user.in"),
        append("__pycache__/run.pyc"),
        lambda folder: (folder / "run").touch(),
        lambda folder: (folder / "run").chmod(0o600),
    ],
)
def test_what_the_build_does_not_see_leaves_the_hash(folder: Path, change: Callable[[Path], None]) -> None:
    (folder / "run").chmod(0o644)
    before = hash_of(folder)
    change(folder)
    assert hash_of(folder) == before


@pytest.mark.parametrize(
    "image",
    [
        replace(IMAGE, arguments=(("A", "2"), ("B", "base:other"))),
        replace(IMAGE, arguments=(("A", "1"),)),
        replace(IMAGE, tag="2"),
        replace(IMAGE, title="m"),
        replace(IMAGE, python=Python("3.11", date(2027, 10, 31), "root")),
    ],
)
def test_the_entry_changes_the_hash(folder: Path, image: Image) -> None:
    assert hash_of(folder, image) != hash_of(folder)


def test_what_it_stands_on_changes_the_hash(folder: Path) -> None:
    hashes = {
        hash_of(folder),
        hash_of(folder, keys={**KEYS, "root": "k3"}),
        hash_of(folder, keys={**KEYS, "other": "k3"}),
        hash_of(folder, parent="q"),
    }
    assert len(hashes) == 4


def test_two_checkouts_share_a_stamp(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    import shutil

    elsewhere = tmp_path_factory.mktemp("elsewhere") / "n"
    shutil.copytree(folder, elsewhere)
    assert folder_stamp(elsewhere) == folder_stamp(folder)
