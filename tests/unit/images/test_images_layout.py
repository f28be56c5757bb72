"""Images copied out of a registry and written as archives: what is sent is what the digests say."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from kubelab_helpers.artifacts.oci import manifest_digest
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.layout import (
    LAYOUT,
    LayoutImage,
    blob_name,
    copy_image,
    index_of,
    list_blobs,
    write_archive,
)

LAYER, CONFIG = b"a layer" * 100, b'{"os": "linux"}'


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def describe(content: bytes) -> dict[str, object]:
    return {"digest": digest_of(content), "size": len(content)}


# The same layer twice, as two empty ones are in many an image.
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": describe(CONFIG),
        "layers": [describe(LAYER), describe(LAYER)],
    }
).encode()
IMAGE = LayoutImage("localhost:5000/kubelab/hub:1", digest_of(MANIFEST))


class Registry(BaseHTTPRequestHandler):
    """What distribution answers for one image; `sent` may replace a blob, `asked` remembers the paths."""

    sent: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer by the path's kind and digest."""
        self.asked.append(self.path)
        contents = {digest_of(each): each for each in (LAYER, CONFIG, MANIFEST)}
        name, digest = self.path.rpartition("/")[::2]
        kind = name.rpartition("/")[2]
        found = digest in contents and (kind == "manifests") == (digest == IMAGE.digest)
        content = self.sent.get(digest, contents.get(digest, b"")) if found else b""
        self.send_response(200 if found and self.path.startswith("/v2/kubelab/hub/") else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Registry, "sent", {})
    monkeypatch.setattr(Registry, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_an_image_becomes_a_layout_and_an_archive(port: int, tmp_path: Path) -> None:
    copy_image(IMAGE, tmp_path / "layout", RegistryAccess(port))
    assert len(Registry.asked) == 3

    def open_file(name: str) -> object:
        return (tmp_path / "layout" / name).open("rb")

    write_archive(IMAGE, open_file, tmp_path / "hub.tar")  # type: ignore[arg-type]  # an open file is what it is to be
    assert manifest_digest(tmp_path / "hub.tar") == IMAGE.digest
    with tarfile.open(tmp_path / "hub.tar") as tar:
        names = tar.getnames()
        layout = tar.extractfile("oci-layout")
        index = tar.extractfile("index.json")
        assert layout is not None
        assert index is not None
        assert layout.read() == LAYOUT
        described = json.load(index)["manifests"][0]
    assert sorted(names[2:]) == sorted(blob_name(digest_of(each)) for each in (LAYER, CONFIG, MANIFEST))
    assert described["annotations"]["io.containerd.image.name"] == IMAGE.reference
    assert described["mediaType"].startswith("application/vnd.docker")


def test_what_is_there_is_not_read_again(port: int, tmp_path: Path) -> None:
    copy_image(IMAGE, tmp_path, RegistryAccess(port))
    Registry.asked.clear()
    copy_image(IMAGE, tmp_path, RegistryAccess(port))
    assert Registry.asked == []


def test_something_else_than_the_digest_says_is_not_kept(port: int, tmp_path: Path) -> None:
    Registry.sent[digest_of(LAYER)] = b"something else"
    with pytest.raises(KubelabError, match=f"for {digest_of(LAYER)}"):
        copy_image(IMAGE, tmp_path, RegistryAccess(port))
    assert not (tmp_path / blob_name(digest_of(LAYER))).exists()
    assert not list(tmp_path.rglob("*.partial"))
    del Registry.sent[digest_of(LAYER)]
    copy_image(IMAGE, tmp_path, RegistryAccess(port))
    assert (tmp_path / blob_name(digest_of(LAYER))).read_bytes() == LAYER


def test_a_registry_without_the_image_is_told(port: int, tmp_path: Path) -> None:
    other = LayoutImage("localhost:5000/kubelab/other:1", IMAGE.digest)
    with pytest.raises(KubelabError, match="did not deliver") as caught:
        copy_image(other, tmp_path, RegistryAccess(port))
    assert "curl -f http://127.0.0.1" in caught.value.repeat


def test_a_damaged_blob_of_a_layout_makes_no_archive(port: int, tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    copy_image(IMAGE, folder, RegistryAccess(port))
    (folder / blob_name(digest_of(LAYER))).write_bytes(b"x" * len(LAYER))
    with pytest.raises(KubelabError, match="is damaged"):
        write_archive(IMAGE, lambda name: (folder / name).open("rb"), tmp_path / "hub.tar")
    (folder / blob_name(digest_of(LAYER))).unlink()
    with pytest.raises(KubelabError, match="could not be written"):
        write_archive(IMAGE, lambda name: (folder / name).open("rb"), tmp_path / "hub.tar")
    assert list(tmp_path.glob("*.tar")) == []
    assert list(tmp_path.glob(".*")) == []


def test_the_index_names_every_image(port: int, tmp_path: Path) -> None:
    copy_image(IMAGE, tmp_path, RegistryAccess(port))
    second = LayoutImage("localhost:5000/kubelab/proxy:1", IMAGE.digest)
    index = json.loads(index_of([IMAGE, second], lambda name: (tmp_path / name).open("rb")))
    assert [each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]] == ["1", "1"]
    assert list_blobs(IMAGE, lambda name: (tmp_path / name).open("rb"))[0] == IMAGE.digest
