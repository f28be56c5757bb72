# ruff: noqa: D102  the double has the methods of what it stands for
"""Images for another architecture: tags, keys and bases of their own, and a refusal that names what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubelab_helpers.artifacts import catalog as artifacts
from kubelab_helpers.artifacts import rootfs, upstream
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError, ExitStatus, InvalidInputError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.images import base, platform
from kubelab_helpers.images import build as building
from kubelab_helpers.images.base import base_reference, import_base
from kubelab_helpers.images.build import build, input_hashes
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.images.client import BuildClient
from kubelab_helpers.images.platform import can_run, parse_platform, require_platform
from kubelab_helpers.result import SilentReporter

HERE = artifacts.architecture()
ELSEWHERE = {"amd64": "arm64", "arm64": "amd64"}[HERE]
EMULATOR = "enabled\ninterpreter /usr/libexec/qemu-binfmt/x\nflags: {flags}\noffset 0\n"


class Engine:
    """Answers as an engine of this machine, with these images by their architecture."""

    def __init__(self, images: dict[str, str], arch: str, kernel: str) -> None:
        self.found, self.arch, self.kernel, self.images = images, arch, kernel, self

    def version(self) -> dict[str, str]:
        return {"Arch": self.arch, "KernelVersion": self.kernel}

    def get(self, reference: str) -> Any:
        from docker.errors import ImageNotFound

        if reference not in self.found:
            raise ImageNotFound(reference)
        return SimpleNamespace(id=reference, labels={}, attrs={"Size": 1}, tags=[reference])

    def list(self, repository: str) -> list[Any]:
        named = [(name, arch) for name, arch in self.found.items() if name.startswith(f"{repository}:")]
        return [SimpleNamespace(tags=[name], attrs={"Architecture": arch}) for name, arch in named]

    def remove(self, reference: str) -> None:
        del self.found[reference]


def engine(images: dict[str, str] | None = None, arch: str = HERE, kernel: str = os.uname().release) -> Any:
    return cast("Any", Engine(images or {}, arch, kernel))


@pytest.fixture(autouse=True)
def binfmt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a kernel's folder of registered emulators, empty."""
    monkeypatch.setattr(platform, "BINFMT", tmp_path / "binfmt")
    (tmp_path / "binfmt").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "binfmt"


@pytest.fixture
def store() -> Store:
    return Store(catalog=artifacts.load_catalog(arch=ELSEWHERE))


def reach(store: Store, upstream_reachable: bool) -> Store:
    store.__dict__["_upstream_reachable"] = upstream_reachable
    return store


@pytest.mark.parametrize("text", ["arm64", "linux/riscv64", "windows/amd64", ""])
def test_an_unknown_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=f"no images for the platform {text}") as caught:
        parse_platform(text)
    assert caught.value.next_step == "choose among linux/amd64, linux/arm64"


def test_nothing_is_shared_by_name_between_architectures(store: Store) -> None:
    here, there = load_catalog(), load_catalog().for_architecture(ELSEWHERE)
    names = [{image.reference("r") for image in catalog.images.values()} for catalog in (here, there)]
    assert names[0] & names[1] == set()
    assert {name.rpartition("-")[2] for name in names[1]} == {ELSEWHERE}
    keys = {name: (Store().catalog.key(name), store.catalog.key(name)) for name in ("debian-trixie", "python-3.8")}
    assert all(own != other for own, other in keys.values())
    # Everything that stands on a root file system differs by it too.
    hashes = [input_hashes(list(here.images.values()), each) for each in (Store(), store)]
    assert not set(hashes[0].values()) & set(hashes[1].values())


def test_this_machines_keys_are_as_they_were() -> None:
    """The architecture is part of every key already: what is in a cache stays good."""
    assert artifacts.load_catalog(arch=HERE).key("debian-trixie") == artifacts.load_catalog().key("debian-trixie")


def test_a_new_root_file_system_replaces_the_old_one_of_its_architecture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "_import_archive", lambda *_: None)
    monkeypatch.setattr(base, "_load_foreign", lambda *_: None)
    for arch, kept in ((HERE, {"old-there": ELSEWHERE}), (ELSEWHERE, {"old-here": HERE})):
        found = {base_reference("x", "old-here"): HERE, base_reference("x", "old-there"): ELSEWHERE}
        import_base(engine(found), "x", "new", tmp_path / "root.tar", arch)
        assert found == {base_reference("x", key): each for key, each in kept.items()}


def test_a_foreign_root_file_system_is_made_for_its_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    ran: list[Command] = []
    monkeypatch.setattr(LocalRunner, "check", lambda _, command: ran.append(command))
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/mmdebstrap")
    pulled: list[Any] = []
    monkeypatch.setattr(upstream, "export_image", lambda *words: pulled.append(words))
    for catalog in (store.catalog, artifacts.load_catalog()):
        rootfs.produce(catalog.get("debian-trixie"), tmp_path / "root.tar")
        upstream.produce(catalog.get("debian-trixie"), tmp_path / "root.tar")
    assert [f"--architectures={ELSEWHERE}" in each.argv for each in ran] == [True, False]
    assert [platform for _, _, platform in pulled] == [f"linux/{ELSEWHERE}", None]


def test_an_installation_of_this_machine_is_of_its_architecture_only(store: Store) -> None:
    assert reach(store, False).unobtainable(["debian-trixie", "python-3.8"]) == ["python-3.8"]
    assert reach(store, True).unobtainable(["debian-trixie", "python-3.8"]) == []
    assert Store("modules", catalog=store.catalog).unobtainable(["python-3.8"]) == ["python-3.8"]
    assert reach(Store(), False).unobtainable(["python-3.8"]) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, False),
        (EMULATOR.format(flags="POCF"), True),
        (EMULATOR.format(flags="OC"), False),  # not there inside a container
        (EMULATOR.format(flags="F").replace("enabled", "disabled"), False),
    ],
)
def test_an_emulator_must_work_inside_containers(binfmt: Path, content: str | None, expected: bool) -> None:
    if content:
        (binfmt / platform.EMULATORS[ELSEWHERE]).write_text(content)
    assert can_run(engine(), ELSEWHERE) is expected
    assert can_run(engine(arch=ELSEWHERE), ELSEWHERE)
    assert can_run(engine(kernel="6.1-of-a-virtual-machine"), ELSEWHERE)


def test_all_that_is_missing_is_named_at_once(store: Store) -> None:
    images = load_catalog().for_architecture(ELSEWHERE).select(["base"], ["3.8", "3.13"])
    with pytest.raises(BlockedError) as caught:
        require_platform(engine(), reach(store, False), images)
    assert caught.value.exit_status is ExitStatus.BLOCKED
    assert f"no emulator {platform.EMULATORS[ELSEWHERE]} is registered" in caught.value.what
    assert caught.value.what.endswith(f"no source in reach has these root file systems for {ELSEWHERE}: python-3.8")
    assert "qemu-user-static" in caught.value.next_step


def test_what_is_there_is_enough(binfmt: Path, store: Store) -> None:
    images = load_catalog().for_architecture(ELSEWHERE).select(["base"], ["3.8"])
    (binfmt / platform.EMULATORS[ELSEWHERE]).write_text(EMULATOR.format(flags="F"))
    imported = [base_reference(name, store.catalog.key(name)) for name in ("debian-trixie", "python-3.8")]
    require_platform(engine(dict.fromkeys(imported, ELSEWHERE)), reach(store, False), images)


def test_this_machines_own_platform_asks_for_nothing() -> None:
    require_platform(engine(), Store(), load_catalog().select())


def test_a_build_that_cannot_be_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a root file system was wanted")

    monkeypatch.setattr(building, "import_bases", never)
    monkeypatch.setattr(building, "find_build_client", lambda: BuildClient("docker", has_buildx=False))
    with pytest.raises(BlockedError, match="no emulator"):
        build(["proxy"], engine=engine(), reporter=SilentReporter(), platform=f"linux/{ELSEWHERE}")


def test_the_build_client_is_told_the_platform(tmp_path: Path) -> None:
    def command(**more: Any) -> tuple[str, ...]:
        client = BuildClient("docker", has_buildx=False)
        return client.command(tmp_path, "x:1", arguments={}, labels={}, secrets={}, timeout_seconds=1, **more).argv

    assert "--platform=linux/arm64" in command(platform="linux/arm64")
    assert not any(word.startswith("--platform") for word in command())
