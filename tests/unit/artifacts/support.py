# ruff: noqa: D102  the doubles have the methods of what they stand for
"""What the tests of artifacts share: a file server that stands for every host, archives, and a small catalogue."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from requests.adapters import HTTPAdapter

from kubelab_helpers.artifacts import upstream
from kubelab_helpers.artifacts.catalog import Catalog, load_catalog

if TYPE_CHECKING:
    import requests


@dataclass
class FileServer:
    """Serves bytes by URL. A list of answers is given one after the other, its last one for ever."""

    port: int
    files: dict[str, list[bytes]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    delay_seconds: float = 0
    broken: set[str] = field(default_factory=set)
    """URLs whose connection breaks before the last byte."""

    def put(self, url: str, *answers: bytes) -> None:
        self.files[url] = list(answers)

    def put_release(self, url: str, content: bytes, checksum_url: str) -> None:
        """Serve a file and a checksum file that names it."""
        self.put(url, content)
        self.put(checksum_url, f"{sha256(content)}  {url.rpartition('/')[2]}\n".encode())

    def answer(self, url: str) -> bytes | None:
        self.asked[url] += 1
        answers = self.files.get(url)
        if not answers:
            return None
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def serving() -> Iterator[FileServer]:
    """Serve on loopback: `/<host>/<path>` stands for `https://<host>/<path>`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(files.delay_seconds)
            body = files.answer(f"https:/{self.path}")
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            short = f"https:/{self.path}" in files.broken
            self.wfile.write((body or b"")[: -1 if short else None])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files = FileServer(server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()


class LoopbackAdapter(HTTPAdapter):
    """Asks the file server for what any https URL names: only the host is replaced."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        assert request.url is not None
        request.url = request.url.replace("https://", f"http://127.0.0.1:{self.port}/", 1)
        return super().send(request, *args, **more)


REAL_SESSION = upstream.session


def loopback_session(port: int) -> requests.Session:
    """Return the real session with all hosts replaced."""
    made = REAL_SESSION()
    made.mount("https://", LoopbackAdapter(port))
    return made


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return a gzipped tar; a name that ends in a slash is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.rstrip("/") or "./")
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


SMALL: dict[str, Any] = {
    "schema": 1,
    "versions": {},
    "artifacts": {
        "tool": {
            "kind": "binary",
            "version": "1.2.3",
            "upstream": {
                "url": "https://tool.test/{version}/tool",
                "checksum": "https://tool.test/{version}/tool.sha256",
            },
        },
        "plugins": {
            "kind": "directory",
            "version": "4.5",
            "members": ["one", "two"],
            "upstream": {
                "url": "https://plugins.test/p.tgz",
                "checksum": "https://plugins.test/SHA256SUMS",
                "member": "./{member}",
            },
        },
        "base": {
            "kind": "rootfs",
            "version": "12",
            "upstream": {"url": "https://base.test/base.tar", "checksum": "https://base.test/base.tar.sha256"},
        },
        "image-tool": {
            "kind": "image",
            "version": "1.2.3",
            "repository": "tool",
            "layers": {"base": "base", "files": {"/usr/bin/tool": "tool"}},
            "entrypoint": ["/usr/bin/tool"],
            "user": "65532:65532",
        },
    },
}
TOOL_URL = "https://tool.test/1.2.3/tool"
TOOL = b"#!/bin/sh\necho tool\n"


def small_catalog(folder: Path) -> Catalog:
    """Return a catalogue of four parts, validated as the real one is."""
    path = folder / "artifacts.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return load_catalog(path)


def publish_small(server: FileServer) -> None:
    """Serve what the small catalogue names."""
    server.put_release(TOOL_URL, TOOL, f"{TOOL_URL}.sha256")
    plugins = archive({"./": b"", "./one": b"first", "./two": b"second", "./LICENSE": b"free"})
    server.put_release("https://plugins.test/p.tgz", plugins, "https://plugins.test/SHA256SUMS")
    server.put_release("https://base.test/base.tar", archive({"etc/": b""}), "https://base.test/base.tar.sha256")


def files_in(folder: Path) -> Sequence[str]:
    """Return every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
