"""The bill of materials of each built image: valid, repeatable, and with the packages that are known to be in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from kubelab_helpers.images.sbom import write_bill

from .conftest import CATALOG, NOTEBOOKS

if TYPE_CHECKING:
    from collections.abc import Callable

    import docker

    from kubelab_helpers.images.catalog import Image

SUBJECTS = {"hub": "jupyterhub", "proxy": "configurable-http-proxy", f"notebook-py{list(NOTEBOOKS)[-1]}": "jupyterlab"}


@pytest.mark.parametrize(("name", "package"), SUBJECTS.items(), ids=list(SUBJECTS))
def test_bill_is_valid_and_names_what_is_in_the_image(
    client: docker.DockerClient, require_image: Callable[[Image], str], name: str, package: str
) -> None:
    image = client.images.get(require_image(CATALOG.images[name]))
    text = write_bill(client, name, image)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill: dict[str, Any] = json.loads(text)
    assert bill["metadata"]["component"]["hashes"][0]["content"] == str(image.id).removeprefix("sha256:")
    names = {each["name"] for each in bill["components"]}
    assert {package, "tini", "ca-certificates", "debian"} <= names
    if python := CATALOG.images[name].python:
        cpython = next(each for each in bill["components"] if each["bom-ref"].startswith("pkg:generic/python@"))
        assert cpython["version"].startswith(f"{python.version}.")
        assert {"numpy", "ipykernel"} <= names
    assert write_bill(client, name, image) == text
