# ruff: noqa: D102  the double has the methods of what it stands for
"""Several images built at once by a stand-in for `docker build`: order, failures, a full disk, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images import build as building
from kubelab_helpers.images.build import INPUT_LABEL, build
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.images.client import BuildClient
from kubelab_helpers.result import Outcome

SECONDS = 20.0
ENTRY = {"title": "an image", "tag": "{version}"}
IMAGES = {
    "root": {**ENTRY, "folder": "root", "base": "debian-trixie"},
    "leaf": {**ENTRY, "folder": "leaf", "parent": "root"},
    "left": {**ENTRY, "folder": "left", "base": "debian-trixie"},
    "right": {**ENTRY, "folder": "right", "base": "debian-trixie"},
}
# The folder's name is the image's. It writes what BuildKit would, and takes its end from a file of that name.
DOCKER = """#!/bin/sh
for word; do
  case "$word" in --tag=*) tag=${word#--tag=};; --label=io.kubelab.input-hash=*) hash=${word##*=};; esac
  folder=$word
done
name=$(basename "$folder")
here=$(dirname "$0")
echo "$@" >> "$here/words"
echo "$name begins" >> "$here/log"
echo "#5 [stage-0 1/2] RUN something"
echo "#5 DONE 0.1s"
while [ -e "$here/hold-$name" ]; do sleep 0.02; done
if [ -e "$here/fail-$name" ]; then cat "$here/fail-$name"; exit 1; fi
echo "$name ends" >> "$here/log"
echo "$hash" > "$here/images/$(echo "$tag" | tr / _)"
"""


class Engine:
    """Has the images that the stand-in named; answers until `gone` is there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images = folder, self

    def get(self, reference: str) -> Any:
        from docker.errors import ImageNotFound

        self.ping()
        file = self.folder / "images" / reference.replace("/", "_")
        if not file.exists():
            raise ImageNotFound(reference)
        labels = {INPUT_LABEL: file.read_text().strip()}
        return SimpleNamespace(id=f"sha256:{reference}", labels=labels, attrs={"Size": 7}, tags=[reference])

    def ping(self) -> bool:
        from requests import ConnectionError as GoneError

        if (self.folder / "gone").exists():
            raise GoneError("connection refused")
        return True

    def info(self) -> dict[str, Any]:
        return {"NCPU": 8, "MemTotal": 1 << 34, "DockerRootDir": str(self.folder)}


class Remembering:
    """Keeps what it is told of each task."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = {}
        self.ended: dict[str, Outcome] = {}

    def start(self, task: str, total: float | None = None) -> None:  # noqa: ARG002 — the protocol's
        self.notes[task] = []

    def advance(self, task: str, completed: float, note: str = "") -> None:
        self.notes[task].append(f"{completed:.2f} {note}")

    def finish(self, task: str, outcome: Outcome, note: str = "") -> None:  # noqa: ARG002 — the protocol's
        self.ended[task] = outcome


@contextmanager
def no_secrets(*_: object) -> Iterator[dict[str, Path]]:
    yield {}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a catalogue of four images, two of them in a row, and the stand-in."""
    prepare(tmp_path)
    for name, value in patches(tmp_path).items():
        monkeypatch.setattr(building, name, value)
    return tmp_path


def prepare(folder: Path) -> None:
    (folder / "images").mkdir()
    for name in IMAGES:
        (folder / name).mkdir()
        (folder / name / "Dockerfile").write_text("FROM x\n")
    (folder / "catalog.yaml").write_text(yaml.safe_dump({"schema": 1, "pythons": {}, "images": IMAGES}))
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)


def patches(folder: Path) -> dict[str, Any]:
    catalog = load_catalog(folder / "catalog.yaml", "1")
    return {
        "load_catalog": lambda: catalog,
        "image_folder": lambda image: folder / image.folder,
        "find_build_client": lambda: BuildClient(str(folder / "docker"), has_buildx=False),
        "import_bases": lambda *_: None,
        "build_secrets": no_secrets,
    }


def run(folder: Path, reporter: Remembering | None = None, **more: Any) -> list[building.BuiltImage]:
    return build(engine=cast("Any", Engine(folder)), reporter=reporter or Remembering(), **more)


def log(folder: Path) -> list[str]:
    file = folder / "log"
    return file.read_text().splitlines() if file.exists() else []


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def test_all_are_built_parents_first_each_with_its_progress(folder: Path) -> None:
    reporter = Remembering()
    built = run(folder, reporter)
    assert [(image.name, image.changed) for image in built] == [(name, True) for name in load_names(folder)]
    assert log(folder).index("root ends") < log(folder).index("leaf begins")
    assert reporter.ended == {f"build {name}": Outcome.CHANGED for name in IMAGES}
    assert reporter.notes["build left"] == ["0.00 stage-0 1/2 RUN something", "0.33 stage-0 1/2 RUN something"]
    assert not any(image.changed for image in run(folder))


def load_names(folder: Path) -> list[str]:
    return list(load_catalog(folder / "catalog.yaml", "1").images)


def test_all_are_built_anew_if_asked(folder: Path) -> None:
    run(folder)
    assert {image.name for image in run(folder, no_cache=True) if image.changed} == set(IMAGES)
    assert (folder / "words").read_text().split().count("--no-cache") == len(IMAGES)


def test_one_at_a_time_if_asked(folder: Path) -> None:
    run(folder, jobs=1)
    assert [line.split()[1] for line in log(folder)] == ["begins", "ends"] * 4


def test_a_failure_names_every_image_and_keeps_what_was_built(folder: Path) -> None:
    (folder / "fail-root").write_text("line\n" * 50 + "E: no such package\n")
    (folder / "fail-left").write_text("executor failed\n")
    reporter = Remembering()
    with pytest.raises(KubelabError) as caught:
        run(folder, reporter, jobs=4)
    said = caught.value.what
    assert "the image root was not built" in said
    assert "E: no such package" in said
    assert said.count("line\n") == 29
    assert "not tried any more: leaf" in said
    assert reporter.ended["build root"] is Outcome.FAILED
    assert "kubelab image build root" in caught.value.repeat
    # `right` ran beside them: what it made is there, and is not made again.
    assert ("built and kept: right" in said) == ("right ends" in log(folder))
    for name in ("root", "left"):
        (folder / f"fail-{name}").unlink()
    changed = {image.name for image in run(folder) if image.changed}
    assert {"root", "leaf"} <= changed
    assert ("right" in changed) == ("built and kept: right" not in said)


@pytest.mark.parametrize(
    "line",
    [
        "error: failed to copy files: write /opt/x: no space left on device",
        "OSError: [Errno 28] No space left on device: '/opt/python'",
    ],
)
def test_a_full_disk_is_told_with_what_is_free_and_what_gives_back(folder: Path, line: str) -> None:
    (folder / "fail-left").write_text(f"#7 12.3 {line}\n------\nexecutor failed running [pip install]: exit code: 1\n")
    with pytest.raises(KubelabError) as caught:
        run(folder, jobs=1)
    assert "the image left was not built: no space is left" in caught.value.what
    assert line in caught.value.what
    assert f"GiB are free in {folder}, where the engine keeps its data" in caught.value.next_step
    assert "kubelab image prune" in caught.value.next_step
    assert "docker builder prune" in caught.value.next_step


def test_an_engine_elsewhere_keeps_its_data_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "fail-left").write_text("no space left on device\n")
    monkeypatch.setattr(Engine, "info", lambda _: {"NCPU": 1, "MemTotal": 0, "DockerRootDir": "/far/away"})
    with pytest.raises(KubelabError) as caught:
        run(folder)
    assert "the engine keeps its data in /far/away of its own machine" in caught.value.next_step


def test_an_engine_that_goes_away_is_told(folder: Path) -> None:
    (folder / "fail-left").write_text("error during connect: EOF\n")
    (folder / "hold-left").touch()
    engine = Engine(folder)

    class Leaving(Remembering):
        def advance(self, task: str, completed: float, note: str = "") -> None:
            super().advance(task, completed, note)
            if task == "build left":
                (folder / "gone").touch()
                (folder / "hold-left").unlink(missing_ok=True)

    with pytest.raises(KubelabError) as caught:
        build(["left"], engine=cast("Any", engine), reporter=Leaving())
    assert "left was not built: the container engine does not answer as it should: connection refused" in str(
        caught.value
    )
    assert "kubelab up" in caught.value.next_step
    assert caught.value.repeat == "kubelab image build left"


def test_ctrl_c_ends_the_builds_and_names_nothing(folder: Path) -> None:
    """In a process of its own, which alone gets the signal, as from `kill -INT`."""
    for name in ("root", "left", "right"):
        (folder / f"hold-{name}").touch()
    code = f"from pathlib import Path; from {__name__} import main; main(Path({str(folder)!r}))"
    paths = os.pathsep.join(sys.path)
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    try:
        wait_until(lambda: len(log(folder)) == 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == -signal.SIGINT
    finally:
        process.kill()
    held = [each for each in map(command_of, running()) if str(folder / "docker") in each]
    assert held == []
    assert list((folder / "images").iterdir()) == []
    assert "leaf begins" not in log(folder)


def running() -> list[int]:
    import psutil

    return list(psutil.pids())


def command_of(pid: int) -> str:
    import psutil

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""


def main(folder: Path) -> None:
    """Build, in the process that is interrupted."""
    for name, value in patches(folder).items():
        setattr(building, name, value)
    run(folder)
