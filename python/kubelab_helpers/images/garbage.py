"""Giving a registry's disk back: what no tag leads to any more is removed, while the registry stands still.

https://distribution.github.io/distribution/about/garbage-collection/ (an upload that ran beside it could lose layers)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.registry import NAME, find_container, registry_state, wait_until_answering
from kubelab_helpers.images.registry_files import CONFIG_PATH, ROOT, USER_ID, initial_files

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

TIMEOUT_SECONDS = 1800
ELIGIBLE = re.compile(r"^blob eligible for deletion: (sha256:[0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True)
class Collected:
    """What a collection did, or with `dry_run` would do: `blobs`, and the bytes on the disk before and after."""

    blobs: int
    before_bytes: int
    after_bytes: int
    dry_run: bool


def collect_garbage(engine: DockerClient, access: RegistryAccess, *, dry_run: bool = False) -> Collected:
    """Remove every manifest without a tag, and every blob that no manifest needs, from this machine's registry.

    It is stopped for that time, and running again afterwards, also when this fails. BlockedError without a registry.
    """
    container, state = find_container(engine), registry_state(engine)
    if container is None or state is None:
        raise BlockedError("this machine has no registry", next_step="`kubelab registry up` makes one")
    before = stored_bytes(engine)
    was_running = state.is_running
    if was_running and not dry_run:
        container.stop(timeout=30)
    try:
        said = _run_collector(engine, container, dry_run=dry_run)
    finally:
        if was_running and not dry_run:
            container.start()
            wait_until_answering(container, access)
    return Collected(len(ELIGIBLE.findall(said)), before, stored_bytes(engine), dry_run)


def stored_bytes(engine: DockerClient) -> int:
    """Return the bytes that the registry's volume takes on the disk, 0 without one."""
    volumes = engine.df()["Volumes"] or ()
    return sum(int(each["UsageData"]["Size"]) for each in volumes if each["Name"] == NAME)


def _run_collector(engine: DockerClient, registry: Container, *, dry_run: bool) -> str:
    """Run the registry's own collector over its volume and return what it printed."""
    assert registry.image is not None
    argv = ["garbage-collect", "--delete-untagged", *(["--dry-run"] if dry_run else []), CONFIG_PATH]
    collector = engine.containers.create(
        str(registry.image.id),
        argv,
        user=f"{USER_ID}:{USER_ID}",
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        environment={"OTEL_TRACES_EXPORTER": "none"},
        volumes={NAME: {"bind": ROOT, "mode": "rw"}},
    )
    try:
        collector.put_archive("/", initial_files())
        collector.start()
        status = collector.wait(timeout=TIMEOUT_SECONDS)["StatusCode"]
        said = collector.logs().decode(errors="replace")
    finally:
        collector.remove(force=True)
    if status != 0:
        raise KubelabError(
            f"garbage was not collected: {said.strip()[-500:]}",
            repeat="kubelab registry gc",
            next_step="the registry runs on with all that it had",
        )
    return said
