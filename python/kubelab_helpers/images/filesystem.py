"""An image's whole file system as a stream, read without starting anything of it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from docker import DockerClient

CHUNK_BYTES = 1 << 20


class ChunkReader:
    """Bytes that come in pieces of any length, read as from a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer only at the end."""
        while len(self._held) < size and (chunk := next(self._chunks, b"")):
            self._held += chunk
        found = bytes(self._held[:size])
        del self._held[:size]
        return found


@contextmanager
def exported(engine: DockerClient, image: str) -> Iterator[tarfile.TarFile]:
    """Give all files of an image as an archive whose members are read once, in order, each before the next.

    A container is made for it and never started: what an image would do is no part of what is in it.
    """
    container = engine.containers.create(image, ["true"], network_mode="none")
    try:
        chunks = cast("Iterator[bytes]", container.export(chunk_size=CHUNK_BYTES))
        reader = ChunkReader(chunks)
        with tarfile.open(fileobj=reader, mode="r|") as tar:  # type: ignore[call-overload]  # it asks for `read` alone
            yield tar
    finally:
        container.remove(force=True)


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a regular file of the archive."""
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
