"""Pruning on the real engine, of what the test makes: what goes, what a container holds, the bytes given back."""

from __future__ import annotations

import io
import os
import tarfile
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from kubelab_helpers.artifacts.source import IMAGE_PREFIX, Store
from kubelab_helpers.images.build import INPUT_LABEL
from kubelab_helpers.images.pruning import plan_prune, prune
from kubelab_helpers.result import SilentReporter

from .conftest import CATALOG

if TYPE_CHECKING:
    import docker

BYTES = 3_000_000


def test_a_build_of_other_inputs_goes_and_gives_its_bytes_back(client: docker.DockerClient) -> None:
    """One that a container was made from stays until that is gone. The plan is cut to what the test made."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("noise")
        entry.size = BYTES
        tar.addfile(entry, io.BytesIO(os.urandom(BYTES)))
    repository, tag = f"{IMAGE_PREFIX}/notebook", f"0.0.0-{uuid.uuid4().hex[:12]}"
    changes = [f"LABEL {INPUT_LABEL}=old org.opencontainers.image.version={tag}"]
    client.api.import_image_from_data(content.getvalue(), repository=repository, tag=tag, changes=changes)
    name = f"{repository}:{tag}"
    container = client.containers.create(name, ["true"])
    try:
        held = plan_prune(client, CATALOG, Store())
        assert name in {each.name for each in held.in_use}
        assert name not in {each.name for each in held.stale}
    finally:
        container.remove()
    plan = plan_prune(client, CATALOG, Store())
    own = tuple(each for each in plan.stale if each.name == name)
    assert [each.reason for each in own] == ["not in the catalogue"]
    assert own[0].unique_bytes == BYTES
    done = prune(client, replace(plan, stale=own, in_use=()), SilentReporter())
    assert done.removed == own
    assert done.layers_bytes == done.freed_bytes == BYTES
    assert not client.images.list(name=name)
