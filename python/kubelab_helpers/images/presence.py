"""The catalogue's images as an engine has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.errors import BlockedError

if TYPE_CHECKING:
    from docker import DockerClient

    from kubelab_helpers.images.catalog import Image


def find_image(engine: DockerClient, image: Image, registry: str = IMAGE_PREFIX) -> Any:
    """Return docker's own object of an image; None if it is not built on this machine."""
    from docker.errors import ImageNotFound

    try:
        return engine.images.get(image.reference(registry))
    except ImageNotFound:
        return None


def require_image(engine: DockerClient, image: Image, registry: str = IMAGE_PREFIX) -> Any:
    """Return docker's own object of an image; BlockedError says how to build it if it is not there."""
    found = find_image(engine, image, registry)
    if found is None:
        raise BlockedError(
            f"the image {image.name} is not built on this machine ({image.reference(registry)})",
            next_step=f"kubelab image build {image.name}",
        )
    return found
