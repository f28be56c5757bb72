"""The bill of materials: valid by CycloneDX's own schema, complete, and the same bytes for the same image."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from kubelab_helpers.images.packages import Contents, Package
from kubelab_helpers.images.sbom import Subject, render_bill

from .support import whole_image

ID = "sha256:" + "5" * 64
SUBJECT = Subject(
    "notebook-py3.8",
    ID,
    "2026-11-25T20:00:03.451224692Z",
    "linux/amd64",
    {
        "org.opencontainers.image.title": "kubelab notebook with Python 3.8",
        "org.opencontainers.image.version": "0.1.0-py3.8",
        "io.kubelab.python-source": "python-3.8",
    },
)


def bill(contents: Contents | None = None, subject: Subject = SUBJECT) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render_bill(subject, contents or whole_image()))
    return found


def component(reference: str) -> dict[str, Any]:
    return next(each for each in bill()["components"] if each["bom-ref"] == reference)


def test_the_bill_is_valid_by_the_formats_own_schema() -> None:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(render_bill(SUBJECT, whole_image()))
    assert error is None
    assert bill()["specVersion"] == "1.6"


def test_the_same_image_gives_the_same_bytes_in_whatever_order_it_is_read() -> None:
    contents = whole_image()
    reversed_contents = replace(contents, packages=contents.packages[::-1])
    assert render_bill(SUBJECT, contents) == render_bill(SUBJECT, reversed_contents)
    places = [Package("pypi", "a", "1", f"/opt/{number}") for number in range(30)]
    first = bill(Contents(packages=places))["components"][0]["evidence"]["occurrences"]
    assert [each["location"] for each in first] == sorted(each.location for each in places)
    assert bill()["metadata"]["timestamp"] == "2026-11-25T20:00:03.451224+00:00"


def test_another_image_has_another_serial_number() -> None:
    other = replace(SUBJECT, image_id="sha256:" + "6" * 64)
    assert bill()["serialNumber"] != bill(subject=other)["serialNumber"]


def test_the_image_is_the_subject_with_its_hash_and_labels() -> None:
    subject = bill()["metadata"]["component"]
    assert (subject["type"], subject["name"], subject["version"]) == ("container", "notebook-py3.8", "0.1.0-py3.8")
    assert subject["hashes"] == [{"alg": "SHA-256", "content": "5" * 64}]
    assert {"name": "kubelab:image:label:io.kubelab.python-source", "value": "python-3.8"} in subject["properties"]


def test_packages_have_the_names_that_scanners_look_for() -> None:
    tini = "pkg:deb/debian/tini@0.19.0-3%2Bb8?arch=amd64&distro=debian-13&upstream=tini%400.19.0-3"
    assert component(tini)["version"] == "0.19.0-3+b8"
    assert component("pkg:pypi/numpy@1.24.4")["purl"] == "pkg:pypi/numpy@1.24.4"
    assert component("pkg:npm/%40colors/colors@1.6.1")["group"] == "@colors"
    python = component("pkg:generic/python@3.8.18")
    assert python["cpe"] == "cpe:2.3:a:python:python:3.8.18:*:*:*:*:*:*:*"
    assert component("os:debian@13")["type"] == "operating-system"


def test_a_package_in_two_environments_is_one_component_at_two_places() -> None:
    places = [each["location"] for each in component("pkg:pypi/packaging@26.2")["evidence"]["occurrences"]]
    assert [place.split("/lib/")[0] for place in places] == ["/opt/python/3.8", "/opt/server"]


def test_a_library_of_no_known_package_is_told_by_its_hash() -> None:
    library = component("file:/opt/python/3.8/lib/bundled/libnsl.so.2")
    assert (library["type"], library["name"]) == ("file", "libnsl.so.2")
    assert len(library["hashes"][0]["content"]) == 64


@pytest.mark.parametrize(
    ("told", "licenses"),
    [
        (("MIT",), [{"license": {"acknowledgement": "declared", "id": "MIT"}}]),
        (("apache-2.0",), [{"license": {"acknowledgement": "declared", "id": "Apache-2.0"}}]),
        (
            ("Apache-2.0 OR BSD-2-Clause",),
            [{"acknowledgement": "declared", "expression": "Apache-2.0 OR BSD-2-Clause"}],
        ),
        (("LGPL or so",), [{"license": {"acknowledgement": "declared", "name": "LGPL or so"}}]),
        (
            ("MIT", "Apache-2.0 OR BSD-2-Clause"),  # the schema has no place for an expression beside another licence
            [
                {"license": {"acknowledgement": "declared", "id": "MIT"}},
                {"license": {"acknowledgement": "declared", "name": "Apache-2.0 OR BSD-2-Clause"}},
            ],
        ),
    ],
)
def test_licences_are_spdx_where_they_are_valid(told: tuple[str, ...], licenses: list[dict[str, Any]]) -> None:
    contents = Contents(packages=[Package("pypi", "a", "1", "/a", told)])
    made = bill(contents)["components"][0]["licenses"]
    assert sorted(made, key=str) == sorted(licenses, key=str)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(render_bill(SUBJECT, contents)) is None
