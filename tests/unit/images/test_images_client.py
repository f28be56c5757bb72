"""Which docker program builds, and the command it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images import client
from kubelab_helpers.images.client import BuildClient, find_build_client


def install(folder: Path, version: str, *, buildx: bool) -> str:
    """Write a docker program that answers as a client of that version does."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\ncase "$1" in buildx) exit {0 if buildx else 1};; version) echo {version};; esac\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(client, "USUAL_FOLDERS", ())
    monkeypatch.setenv("PATH", f"{tmp_path}/a:{tmp_path}/b")
    return tmp_path


def test_a_client_with_buildx_is_taken(path: Path) -> None:
    program = install(path / "a", "28.2.2", buildx=True)
    assert find_build_client() == BuildClient(program, has_buildx=True)


def test_a_new_client_without_buildx_is_passed_over_for_an_old_one(path: Path) -> None:
    install(path / "a", "28.2.2", buildx=False)
    program = install(path / "b", "20.10.24+dfsg1", buildx=False)
    assert find_build_client() == BuildClient(program, has_buildx=False)


def test_without_a_builder_it_says_what_to_install(path: Path) -> None:
    install(path / "a", "28.2.2", buildx=False)
    with pytest.raises(BlockedError) as caught:
        find_build_client()
    assert "buildx" in caught.value.next_step


def command(tmp_path: Path, *, has_buildx: bool = False) -> tuple[str, ...]:
    secret = tmp_path / "pip"
    secret.write_text("index-url = https://someone:hunter2@pip.example")
    built = BuildClient("docker", has_buildx).command(
        tmp_path,
        "localhost:5000/kubelab/x:1",
        arguments={"BASE": "base"},
        labels={"l": "v"},
        secrets={"pip": secret},
        timeout_seconds=1,
    )
    assert dict(built.env) == {"DOCKER_BUILDKIT": "1"}
    return built.argv


def test_no_secret_is_in_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:hunter2@proxy.example")
    argv = command(tmp_path)
    assert "--build-arg=HTTPS_PROXY" in argv
    assert f"--secret=id=pip,src={tmp_path}/pip" in argv
    assert not any("hunter2" in word for word in argv)


def test_only_buildx_is_told_to_leave_attestations_out(tmp_path: Path) -> None:
    assert "--provenance=false" in command(tmp_path, has_buildx=True)
    assert "--provenance=false" not in command(tmp_path)
