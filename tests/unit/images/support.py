"""A file system as an engine exports it, made of what package managers wrote: tests/fixtures/images."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import cast

from kubelab_helpers.images.filesystem import ChunkReader
from kubelab_helpers.images.packages import DPKG_STATUS, OS_RELEASE, Contents, read_contents

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/images"
STATUS = (FIXTURES / "dpkg-status").read_text()
PYTHON = "opt/python/3.8"
SERVER = "opt/server/lib/python3.13/site-packages"
BINARY = b"\x7fELF\x00/somewhere/versions/3.8.18\x00Python-3.8.18\x00"


def metadata(name: str) -> str:
    return (FIXTURES / f"{name}.METADATA").read_text()


def archive(files: dict[str, str | bytes]) -> tarfile.TarFile:
    """Return a file system as an engine exports it, in pieces."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    data = written.getvalue()
    pieces = (data[start : start + 777] for start in range(0, len(data), 777))
    reader = ChunkReader(pieces)
    return cast("tarfile.TarFile", tarfile.open(fileobj=reader, mode="r|"))  # type: ignore[call-overload]  # see filesystem


def whole_image() -> Contents:
    files: dict[str, str | bytes] = {
        OS_RELEASE: (FIXTURES / "os-release").read_text(),
        DPKG_STATUS: STATUS,
        f"{PYTHON}/lib/python3.8/site-packages/numpy-1.24.4.dist-info/METADATA": metadata("numpy"),
        f"{PYTHON}/lib/python3.8/site-packages/packaging-26.2.dist-info/METADATA": metadata("packaging"),
        f"{SERVER}/packaging-26.2.dist-info/METADATA": metadata("packaging"),
        f"{SERVER}/jupyterlab-4.6.6.dist-info/METADATA": metadata("jupyterlab"),
        f"{SERVER}/bleach/_vendor/html5lib-1.1.dist-info/METADATA": "Name: html5lib\nVersion: 1.1\n",
        "usr/lib/python3/dist-packages/six-1.17.0.dist-info/METADATA": "Name: six\nVersion: 1.17.0\n",
        f"{PYTHON}/lib/bundled/libpython3.8.so.1.0": BINARY,
        f"{PYTHON}/lib/bundled/libnsl.so.2": b"a library",
        "opt/proxy/node_modules/@colors/colors/package.json": (FIXTURES / "package.json").read_text(),
        "opt/proxy/node_modules/@colors/colors/themes/package.json": '{"name": "a part of it", "version": "1"}',
        "usr/share/nodejs/acorn/node_modules/inner/package.json": '{"name": "Debian\'s", "version": "1"}',
    }
    with archive(files) as tar:
        return read_contents(tar)
