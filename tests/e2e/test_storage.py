"""Where a user's home lies: a claim of the chart's class, and a folder on the node."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from kubelab_helpers.release.deploy import NAMESPACE, RELEASE

from .hub import HubSession
from .kernel import open_kernel
from .lab import Lab
from .pods import find_server

FIND = """
import os
found = []
for folder, folders, files in os.walk('/'):
    if folder == '/':
        folders[:] = sorted(set(folders) - {{'proc', 'sys'}})
    if '{name}' in files:
        found.append(folder)
print(found)
"""


@pytest.fixture(scope="module")
def pod(lab: Lab, ada: HubSession) -> Any:
    """The pod of a user's server."""
    return lab.core.read_namespaced_pod(find_server(lab, ada.name).name, NAMESPACE)


@pytest.fixture(scope="module")
def claim(lab: Lab, pod: Any) -> Any:
    """The one claim of that pod."""
    names = [each.persistent_volume_claim.claim_name for each in pod.spec.volumes if each.persistent_volume_claim]
    assert len(names) == 1
    return lab.core.read_namespaced_persistent_volume_claim(names[0], NAMESPACE)


@pytest.fixture(scope="module")
def volume(lab: Lab, claim: Any) -> Any:
    """What the claim is bound to."""
    return lab.core.read_persistent_volume(claim.spec.volume_name)


def test_home_is_a_claim_of_the_charts_class(lab: Lab, claim: Any, volume: Any) -> None:
    """Bound when a pod needs it, and kept when the claim goes."""
    kind = lab.storage.read_storage_class(claim.spec.storage_class_name)
    assert claim.status.phase == "Bound"
    assert kind.metadata.labels["app.kubernetes.io/instance"] == RELEASE
    assert kind.volume_binding_mode == "WaitForFirstConsumer"
    assert volume.spec.persistent_volume_reclaim_policy == kind.reclaim_policy == "Retain"


def test_file_in_the_home_lies_on_the_node_of_the_pod(
    lab: Lab, ada: HubSession, pod: Any, claim: Any, volume: Any
) -> None:
    """In a folder of the claim's own, and it belongs to the user."""
    content = secrets.token_hex(16)
    with open_kernel(ada) as kernel:
        kernel.run(f"from pathlib import Path; Path('~/where.txt').expanduser().write_text({content!r})")
    folder = (volume.spec.local or volume.spec.host_path).path
    host = next(each for each in lab.spec.hosts if each.name == pod.spec.node_name)
    assert claim.metadata.name in folder
    assert lab.run_on(host, "cat", f"{folder}/where.txt") == content
    assert lab.run_on(host, "stat", "--format=%u", f"{folder}/where.txt").strip() == "1000"


def test_homes_are_apart(lab: Lab, ada: HubSession, ben: HubSession) -> None:
    """What one writes, the other does not see, and the folder above the homes is in neither pod."""
    name = f"{secrets.token_hex(8)}.txt"
    with open_kernel(ada) as kernel:
        kernel.run(f"from pathlib import Path; Path('~/{name}').expanduser().touch()")
        assert kernel.run(FIND.format(name=name)).stdout == "['/home/jovyan']\n"
    with open_kernel(ben) as kernel:
        assert kernel.run(FIND.format(name=name)).stdout == "[]\n"
