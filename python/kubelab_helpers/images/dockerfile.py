"""The folder that a build is given: an image's own, or one with the Dockerfile that is rendered for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kubelab_helpers.images.catalog import Image, ImageCatalog


@contextmanager
def build_folder(image: Image, own: Path, catalog: ImageCatalog, registry: str) -> Iterator[Path]:
    """Yield `own`, the image's folder, or, of an image that joins others, one with its Dockerfile for those."""
    if not image.joined:
        yield own
        return
    from jinja2 import Environment, StrictUndefined

    below = [catalog.images[name] for name in image.joined[:-1]]
    kernels = [{"version": each.python.version, "reference": each.reference(registry)} for each in below if each.python]
    template = (own / "Dockerfile.j2").read_text()
    # A Dockerfile, where HTML escaping would do harm.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    with TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(environment.from_string(template).render(kernels=kernels))
        yield Path(folder)
