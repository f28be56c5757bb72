"""The packages of an image, read from what package managers wrote (tests/fixtures/images says where that is from)."""

from __future__ import annotations

import json

import pytest

from kubelab_helpers.images.packages import (
    Package,
    find_cpython,
    parse_distribution,
    parse_dpkg_status,
    parse_npm_package,
)

from .support import BINARY, PYTHON, SERVER, STATUS, metadata, whole_image


def test_an_image_is_read_in_one_pass_with_the_place_of_each_package() -> None:
    contents = whole_image()
    assert (contents.system, contents.system_version) == ("debian", "13")
    found = [(each.kind, each.name, each.version, each.location) for each in contents.packages if each.kind != "deb"]
    numpy = f"/{PYTHON}/lib/python3.8/site-packages/numpy-1.24.4.dist-info/METADATA"
    assert ("pypi", "numpy", "1.24.4", numpy) in found
    assert [each for each in found if each[1] == "packaging"] == [
        ("pypi", "packaging", "26.2", f"/{PYTHON}/lib/python3.8/site-packages/packaging-26.2.dist-info/METADATA"),
        ("pypi", "packaging", "26.2", f"/{SERVER}/packaging-26.2.dist-info/METADATA"),
    ]
    assert ("cpython", "python", "3.8.18", f"/{PYTHON}/lib/bundled/libpython3.8.so.1.0") in found
    assert ("npm", "@colors/colors", "1.6.1", "/opt/proxy/node_modules/@colors/colors/package.json") in found
    assert ("file", "libnsl.so.2", "", f"/{PYTHON}/lib/bundled/libnsl.so.2") in found


def test_what_debian_or_another_package_brought_is_not_counted_again() -> None:
    names = {each.name for each in whole_image().packages}
    assert names & {"six", "html5lib", "a part of it", "Debian's"} == set()


def test_dpkg_status_gives_version_architecture_and_source() -> None:
    found = {each.name: each for each in parse_dpkg_status(STATUS, "/status")}
    assert list(found) == ["base-files", "libc6", "python3.13-minimal", "tini", "tzdata"]
    tini = Package("deb", "tini", "0.19.0-3+b8", "/status", architecture="amd64", source="tini@0.19.0-3")
    assert found["tini"] == tini
    assert found["libc6"].source.startswith("glibc@2.41")
    assert found["tzdata"].architecture == "all"


def test_a_package_that_was_removed_is_not_in_the_image() -> None:
    removed = STATUS.replace(
        "Package: tini\nStatus: install ok installed", "Package: tini\nStatus: deinstall ok config-files"
    )
    assert removed != STATUS
    assert "tini" not in {each.name for each in parse_dpkg_status(removed, "")}


@pytest.mark.parametrize(
    ("name", "licenses"),
    [
        ("packaging", ("Apache-2.0 OR BSD-2-Clause",)),  # PEP 639
        ("numpy", ("BSD-3-Clause",)),  # the old field, short
        ("jupyterlab", ("BSD License",)),  # the old field holds the whole text: the classifier says it
    ],
)
def test_a_distributions_licence_is_what_its_metadata_says(name: str, licenses: tuple[str, ...]) -> None:
    found = parse_distribution(metadata(name), "")
    assert found is not None
    assert found.licenses == licenses


def test_metadata_without_a_name_is_no_distribution() -> None:
    assert parse_distribution("Summary: nothing\n", "") is None


@pytest.mark.parametrize(
    ("told", "licenses"),
    [
        ({"license": "MIT"}, ("MIT",)),
        ({"license": {"type": "ISC", "url": "x"}}, ("ISC",)),
        ({"licenses": [{"type": "MIT"}, {"type": "Apache-2.0"}]}, ("MIT", "Apache-2.0")),
        ({}, ()),
    ],
)
def test_an_npm_package_may_tell_its_licence_in_three_ways(told: dict[str, object], licenses: tuple[str, ...]) -> None:
    found = parse_npm_package(json.dumps({"name": "a", "version": "1", **told}), "")
    assert found is not None
    assert found.licenses == licenses


@pytest.mark.parametrize(
    ("content", "version"),
    [(BINARY, "3.8.18"), (b"\x003.8.0rc1\x00", "3.8.0rc1"), (b"\x0013.8.1\x00 3.8.2 \x003.11.2\x00", None)],
)
def test_cpythons_full_version_stands_in_its_binary(content: bytes, version: str | None) -> None:
    found = find_cpython(content, "3.8", "")
    assert (found.version if found else None) == version
