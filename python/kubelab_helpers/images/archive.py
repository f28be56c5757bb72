"""Image archives, as the engine loads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubelab_helpers.errors import KubelabError

if TYPE_CHECKING:
    from docker import DockerClient


def load_archive(engine: DockerClient, archive: Path, reference: str) -> str:
    """Load an image archive into the engine as `reference` and return the image's id."""
    with archive.open("rb") as stream:
        loaded = engine.images.load(stream)
    if not loaded:
        raise KubelabError(f"{archive} holds no image", repeat=f"docker load --input {archive}")
    loaded[0].tag(*reference.rsplit(":", 1))
    return str(loaded[0].id)
