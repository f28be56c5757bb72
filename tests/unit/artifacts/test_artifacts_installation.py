"""A CPython of this machine, packed: which one is taken, what is in it and what is not, the same twice."""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path

import pytest

from kubelab_helpers.artifacts import installation
from kubelab_helpers.artifacts.catalog import Artifact
from kubelab_helpers.errors import BlockedError

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def artifact(version: str = VERSION) -> Artifact:
    return Artifact(f"python-{version}", "rootfs", version, {"kind": "rootfs", "installation": {}})


@pytest.fixture
def pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pyenv without a version, and no other place where a Python might be."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / "pyenv/versions").mkdir(parents=True)
    return tmp_path / "pyenv/versions"


def install(versions: Path, release: str, program: Path | None = None) -> Path:
    path = versions / release / f"bin/python{'.'.join(release.split('.')[:2])}"
    path.parent.mkdir(parents=True)
    path.symlink_to(program or "/bin/true")
    return path


def test_the_newest_patch_release_is_taken(pyenv: Path) -> None:
    for release in ("3.7.9", "3.7.16", "3.70.1"):
        install(pyenv, release)
    assert [path.parts[-3] for path in installation.find_installations("3.7")] == ["3.7.16", "3.7.9"]


def test_a_version_that_is_not_here_is_refused_with_what_to_do(pyenv: Path, tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match=r"no CPython 3\.7 ") as caught:
        installation.produce(artifact("3.7"), tmp_path / "packed.tar")
    assert "pyenv install 3.7" in caught.value.next_step


@pytest.fixture
def packed(pyenv: Path, tmp_path: Path) -> tarfile.TarFile:
    """The Python of the test itself, as if pyenv had it."""
    program = Path(sys.base_prefix) / f"bin/python{VERSION}"
    if sys.base_prefix == "/usr":
        pytest.skip("this Python is a distribution's own, which is never taken")
    install(pyenv, f"{VERSION}.99", program)
    installation.produce(artifact(), tmp_path / "packed.tar")
    return tarfile.open(tmp_path / "packed.tar")


def test_what_is_packed_is_a_python_and_nothing_of_the_machine(packed: tarfile.TarFile) -> None:
    names = packed.getnames()
    assert {f"prefix/bin/python{VERSION}", f"prefix/lib/python{VERSION}/os.py", "origin.json"} <= set(names)
    assert [name for name in names if "site-packages" in name or name.endswith((".pth", ".a", ".pyc"))] == []
    assert [name for name in names if "tkinter" in name or "/test/" in name] == []
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in packed.getmembers()} == {
        (0, 0, "", installation.MADE_AT)
    }


def test_it_says_where_it_came_from(packed: tarfile.TarFile) -> None:
    content = packed.extractfile("origin.json")
    assert content is not None
    origin = json.load(content)
    assert origin["python"] == ".".join(map(str, sys.version_info[:3]))
    assert origin["prefix"] == sys.base_prefix
    assert len(origin["sha256"]) == 64


def test_its_libraries_are_there_without_the_c_library(packed: tarfile.TarFile) -> None:
    libraries = [name.removeprefix("lib/") for name in packed.getnames() if name.startswith("lib/")]
    assert any(name.startswith("libz.so") for name in libraries)
    assert not any(name.startswith(("libc.so", "libm.so", "ld-linux")) for name in libraries)


def test_the_same_python_gives_the_same_bytes(packed: tarfile.TarFile, tmp_path: Path) -> None:
    installation.produce(artifact(), tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == Path(str(packed.name)).read_bytes()
