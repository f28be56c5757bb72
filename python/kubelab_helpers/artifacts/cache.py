"""The artifact cache: content by recipe key under the user's cache directory, verified before each use.

`artifacts/<name>/<key>-<source>/content` with `manifest.json` beside it: SHA-256, size and modification time of each file.
A file whose size and time are as recorded was verified before and is not read again (a gigabyte costs seconds on two
cores); any other is hashed, and one whose hash differs is gone: the caller fetches it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One artifact in the cache, from one source."""

    folder: Path

    @property
    def content(self) -> Path:
        """The file or the folder of files."""
        return self.folder / "content"

    @property
    def manifest(self) -> Path:
        """What was recorded when it was stored."""
        return self.folder / "manifest.json"


def root() -> Path:
    """Return the folder of all cached artifacts (XDG_CACHE_HOME/kubelab/artifacts)."""
    return Path(platformdirs.user_cache_dir("kubelab")) / "artifacts"


def entry(name: str, key: str, source: str) -> Entry:
    """Return where an artifact from one source is, or would be."""
    return Entry(root() / name / f"{key}-{source}")


def is_intact(found: Entry) -> bool:
    """Return whether a cached artifact is there and as it was stored."""
    try:
        recorded = json.loads(found.manifest.read_text())["files"]
    except (OSError, ValueError, KeyError):
        return False
    files = _files(found.content)
    if set(recorded) != set(files):
        return False
    return all(_is_as_recorded(path, recorded[name]) for name, path in files.items())


def file_sha256(found: Entry, member: str = "") -> str:
    """Return the recorded SHA-256 of the artifact, or of one file in it."""
    recorded = json.loads(found.manifest.read_text())["files"]
    return str(recorded[member or "."]["sha256"])


def store(target: Entry, produce: Callable[[Path], None]) -> None:
    """Let `produce` write the content under a temporary name, record it, and put it in place whole or not at all."""
    partial = target.folder.with_name(f".{target.folder.name}.{uuid.uuid4().hex[:8]}")
    partial.mkdir(parents=True)
    try:
        produce(partial / "content")
        files = {name: _record(path) for name, path in _files(partial / "content").items()}
        (partial / "manifest.json").write_text(json.dumps({"files": files}, indent=1))
        shutil.rmtree(target.folder, ignore_errors=True)
        partial.rename(target.folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _files(content: Path) -> dict[str, Path]:
    if content.is_dir():
        return {str(each.relative_to(content)): each for each in sorted(content.rglob("*")) if each.is_file()}
    return {".": content} if content.is_file() else {}


def _record(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"sha256": sha256_of(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _is_as_recorded(path: Path, recorded: dict[str, Any]) -> bool:
    stat = path.stat()
    if stat.st_size != recorded["size"]:
        return False
    if stat.st_mtime_ns == recorded["mtime_ns"]:
        return True
    if sha256_of(path) != recorded["sha256"]:
        return False
    # Same content with another time (a copied cache): remembered by giving it back the time it was verified with.
    os.utime(path, ns=(recorded["mtime_ns"], recorded["mtime_ns"]))
    return True
