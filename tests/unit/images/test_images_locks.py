"""The locks of the images' packages: of today's inputs or not, resolved for each Python, all written or none.

uv resolves for real, out of a folder of tiny wheels.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import yaml

from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.images.catalog import ImageCatalog, load_catalog
from kubelab_helpers.images.locks import Lock, load_locks
from kubelab_helpers.images.resolver import write_locks
from kubelab_helpers.result import SilentReporter

PLATFORM = "x86_64-manylinux_2_28"
PYTHONS = {
    "3.8": {"end_of_life": "2024-10-07", "installation": "python-3.8"},
    "3.13": {"end_of_life": "2029-10-31", "suite": "debian-trixie"},
    "3.20": {"end_of_life": "2036-10-31"},
}
IMAGES = {
    "notebook": {
        "title": "a notebook",
        "folder": "notebook",
        "base": "debian-trixie",
        "per_python": True,
        "tag": "{python}",
    },
    "hub": {"title": "a hub", "folder": "hub", "base": "debian-trixie", "tag": "{version}"},
}
LOCKS = [
    {"input": "notebook/user.in", "output": "notebook/py{python}.txt"},
    {"input": "hub/hub.in", "output": "hub/hub.txt", "python": "3.13"},
]


def add_wheel(folder: Path, name: str, version: str, requires_python: str = "", needs: str = "") -> None:
    """Write a wheel that holds nothing but its metadata."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Python: {requires_python}\n" if requires_python else ""
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only place that packages come from: `modern` left Python 3.8 with its second release."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    add_wheel(folder, "modern", "1.4", ">=3.7")
    add_wheel(folder, "modern", "2.0", ">=3.9")
    add_wheel(folder, "plain", "1.0")
    add_wheel(folder, "never", "1.0", ">=3.9")
    add_wheel(folder, "strict", "1.0", needs="plain<1")
    configuration = tmp_path / "uv.toml"
    configuration.write_text(f'no-index = true\nfind-links = ["{folder}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an images' folder with one lock for each of two Pythons, and one for the hub."""
    images = tmp_path / "images"
    for name in IMAGES:
        (images / name).mkdir(parents=True)
    (images / "catalog.yaml").write_text(
        yaml.safe_dump({"schema": 1, "pythons": PYTHONS, "images": IMAGES}, sort_keys=False)
    )
    (images / "locks.yaml").write_text(yaml.safe_dump({"schema": 1, "platform": PLATFORM, "locks": LOCKS}))
    ask(images, "modern")
    (images / "hub/hub.in").write_text("plain\n")
    return images


def ask(images: Path, *requirements: str) -> None:
    (images / "notebook/user.in").write_text("\n".join(requirements) + "\n")


def catalog_of(images: Path) -> ImageCatalog:
    return load_catalog(images / "catalog.yaml", "1")


def locks_of(images: Path, pythons: list[str] | None = None) -> list[Lock]:
    return load_locks(pythons, images, catalog_of(images))


def write(images: Path, pythons: list[str] | None = None, *, upgrade: bool = False) -> list[str]:
    """Write the locks and return the names of those whose packages changed."""
    written = write_locks(locks_of(images, pythons), SilentReporter(), upgrade=upgrade)
    return [each.lock.path.name for each in written if each.changed]


def pins(images: Path, name: str) -> list[str]:
    lines = (images / name).read_text().splitlines()
    return [line.split(" ")[0] for line in lines if "==" in line and not line.startswith("#")]


def outputs(images: Path) -> list[str]:
    return sorted(each.name for each in images.rglob("*") if each.is_file() and each.suffix not in {".in", ".yaml"})


def test_real_locks_are_of_todays_inputs() -> None:
    assert {each.output: each.state() for each in load_locks() if each.state() != "current"} == {}


def test_there_is_a_lock_for_every_python_that_has_an_image(folder: Path) -> None:
    found = {each.path.name: (each.python, each.images) for each in locks_of(folder)}
    assert found == {
        "py3.8.txt": ("3.8", ("notebook-py3.8",)),
        "py3.13.txt": ("3.13", ("notebook-py3.13",)),
        "hub.txt": ("3.13", ("hub",)),
    }
    assert [each.path.name for each in locks_of(folder, ["3.13"])] == ["py3.13.txt"]


@pytest.mark.parametrize("version", ["3.7", "3.20"])
def test_a_python_without_an_image_has_no_lock(folder: Path, version: str) -> None:
    with pytest.raises(InvalidInputError, match=f"no image with Python {version}"):
        locks_of(folder, [version])


@pytest.mark.usefixtures("wheels")
def test_each_python_gets_the_last_release_that_has_it(folder: Path) -> None:
    assert write(folder) == ["py3.8.txt", "py3.13.txt", "hub.txt"]
    assert pins(folder, "notebook/py3.8.txt") == ["modern==1.4"]
    assert pins(folder, "notebook/py3.13.txt") == ["modern==2.0"]
    assert "--hash=sha256:" in (folder / "notebook/py3.8.txt").read_text()
    assert [each.state() for each in locks_of(folder)] == ["current"] * 3


def test_what_is_locked_stays_unless_an_upgrade_is_asked_for(folder: Path, wheels: Path) -> None:
    write(folder)
    add_wheel(wheels, "modern", "2.1", ">=3.9")
    assert write(folder) == []
    assert write(folder, ["3.13"], upgrade=True) == ["py3.13.txt"]
    assert pins(folder, "notebook/py3.13.txt") == ["modern==2.1"]


@pytest.mark.usefixtures("wheels")
def test_a_lock_is_outdated_when_what_it_was_made_of_changed(folder: Path) -> None:
    assert [each.state() for each in locks_of(folder)] == ["absent"] * 3
    write(folder)
    ask(folder, "# A comment decides nothing.", "", "modern  # nor this one")
    assert {each.state() for each in locks_of(folder)} == {"current"}
    ask(folder, "-r more.in", "modern")
    (folder / "notebook/more.in").write_text("plain\n")
    states = {each.path.name: each.state() for each in locks_of(folder)}
    assert states == {"py3.8.txt": "outdated", "py3.13.txt": "outdated", "hub.txt": "current"}
    write(folder)
    (folder / "notebook/more.in").write_text("plain\nnever; python_version > '3.8'\n")
    assert [each.state() for each in locks_of(folder)] == ["outdated", "outdated", "current"]


@pytest.mark.usefixtures("wheels")
def test_what_has_no_release_for_a_python_is_named_with_the_last_that_had_and_nothing_is_written(folder: Path) -> None:
    ask(folder, "modern>=2", "plain")
    with pytest.raises(InvalidInputError) as caught:
        write(folder)
    assert "`modern>=2` of notebook/user.in cannot be resolved for Python 3.8 (notebook-py3.8)" in caught.value.what
    assert "modern>=2" in caught.value.what.partition("\n")[2]  # uv's own words
    assert "3.13" not in caught.value.what.partition("\n")[0]
    assert "the last release of modern for Python 3.8 is 1.4" in caught.value.next_step
    assert '`modern==1.4; python_version == "3.8"`' in caught.value.next_step
    assert outputs(folder) == []
    # The advice helps.
    ask(folder, 'modern>=2; python_version != "3.8"', 'modern==1.4; python_version == "3.8"', "plain")
    write(folder)
    assert pins(folder, "notebook/py3.8.txt") == ["modern==1.4", "plain==1.0"]
    assert pins(folder, "notebook/py3.13.txt") == ["modern==2.0", "plain==1.0"]


@pytest.mark.usefixtures("wheels")
def test_a_failure_leaves_the_locks_that_are_there(folder: Path) -> None:
    write(folder)
    before = {name: (folder / name).read_bytes() for name in ("notebook/py3.8.txt", "notebook/py3.13.txt")}
    ask(folder, "modern", "never")
    with pytest.raises(
        InvalidInputError, match=r"`never` of notebook/user\.in cannot be resolved for Python 3\.8"
    ) as caught:
        write(folder)
    assert "no release of never is for Python 3.8" in caught.value.next_step
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.usefixtures("wheels")
def test_a_package_that_nobody_has_is_named_for_every_python(folder: Path) -> None:
    ask(folder, "plain", "no-such-package")
    with pytest.raises(InvalidInputError) as caught:
        write(folder)
    for version in ("3.8", "3.13"):
        assert f"`no-such-package` of notebook/user.in cannot be resolved for Python {version}" in caught.value.what


@pytest.mark.usefixtures("wheels")
def test_requirements_that_do_not_fit_each_other_are_told_as_such(folder: Path) -> None:
    ask(folder, "plain>=1", "strict; python_version > '3.8'")
    add_wheel(folder.parent / "wheels", "plain", "0.9")
    with pytest.raises(InvalidInputError) as caught:
        write(folder)
    assert "the requirements of notebook/user.in cannot be resolved together for Python 3.13 (notebook-py3.13)" in str(
        caught.value
    )
    assert "strict" in caught.value.what


def stack(images: Path) -> None:
    """Let the hub's lock keep to the notebook's for Python 3.13, and have no `modern` whatever asks for it."""
    over = {"constraints": "notebook/py{python}.txt", "overrides": "hub/overrides.txt"}
    locks = [LOCKS[0], {"input": "hub/hub.in", "output": "hub/py{python}.txt", **over}]
    (images / "locks.yaml").write_text(yaml.safe_dump({"schema": 1, "platform": PLATFORM, "locks": locks}))
    (images / "hub/overrides.txt").write_text('modern; sys_platform == "never"\n')


def test_a_lock_keeps_to_the_one_below_it_and_to_its_overrides(folder: Path, wheels: Path) -> None:
    add_wheel(wheels, "plain", "1.1", needs="modern")
    stack(folder)
    ask(folder, "plain<1.1")
    write(folder, ["3.13"])
    assert pins(folder, "hub/py3.13.txt") == ["plain==1.0"]
    ask(folder, "plain")
    write(folder, ["3.13"], upgrade=True)
    # The release below has risen in the same call.
    assert pins(folder, "notebook/py3.13.txt") == ["modern==2.0", "plain==1.1"]
    assert pins(folder, "hub/py3.13.txt") == ["plain==1.1"]
    lock = folder / "notebook/py3.13.txt"
    lock.write_text(lock.read_text().replace("plain==1.1", "plain==1.0"))
    states = {each.output: each.state() for each in locks_of(folder, ["3.13"])}
    assert states == {"notebook/py3.13.txt": "current", "hub/py3.13.txt": "outdated"}


@pytest.mark.usefixtures("wheels")
def test_what_does_not_fit_the_lock_below_is_told_as_such(folder: Path) -> None:
    stack(folder)
    ask(folder, "plain")
    (folder / "hub/hub.in").write_text("plain>=2\n")
    with pytest.raises(
        InvalidInputError, match=r"`plain>=2` of hub/hub\.in cannot be resolved for Python 3\.13"
    ) as caught:
        write(folder, ["3.13"])
    assert "for Python 3.13 beside what notebook/py3.13.txt has is 1.0" in caught.value.next_step
    # One that failed below says enough: what keeps to it is not tried.
    ask(folder, "never")
    with pytest.raises(InvalidInputError) as caught:
        write(folder, ["3.8"])
    assert "hub/hub.in" not in caught.value.what


def test_an_unsound_list_of_locks_is_refused(folder: Path) -> None:
    for entry, said in (
        ({"input": "hub/hub.in", "output": "hub/hub.txt"}, "'python' is a required property"),
        ({"input": "hub/gone.in", "output": "hub/hub.txt", "python": "3.13"}, "there is no hub/gone.in"),
    ):
        data = {"schema": 1, "platform": PLATFORM, "locks": [entry]}
        (folder / "locks.yaml").write_text(yaml.safe_dump(data))
        with pytest.raises(InvalidInputError, match=said):
            locks_of(folder)
