"""The artifact cache: content by recipe key under the user's cache directory, verified before each use.

`artifacts/<name>/<key>-<source>/content`, and beside it `manifest.json`: SHA-256, size and time of each file.
A file whose size and time are as recorded was verified before and is not read again (a gigabyte costs seconds on two
cores); any other is hashed, and one whose hash differs is gone: the caller fetches it again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.command import CommandError

READ_BYTES = 1 << 20
LOCK_TIMEOUT_SECONDS = 4000.0
"""More than the deadline of the longest build."""
COLD_BUILD_GIB = 20
"""Measured: Go's build cache 8.2 GB, its modules 5.3 GB, the parts 2.5 GB; the rest for builds under way."""


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


@contextmanager
def hold_lock(target: Entry) -> Iterator[None]:
    """Hold an artifact's lock, waiting for whoever makes it now; a killed process leaves none behind.

    BlockedError when the other one has not ended within LOCK_TIMEOUT_SECONDS.
    """
    from filelock import FileLock, Timeout

    folder = target.folder.parent
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / ".lock").acquire(timeout=LOCK_TIMEOUT_SECONDS)
    except Timeout as error:
        raise BlockedError(
            f"another kubelab has been making {folder.name} for {LOCK_TIMEOUT_SECONDS:g} s",
            next_step=f"wait for it, or end it: fuser --verbose {folder / '.lock'}",
        ) from error
    with lock:
        yield


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
    """Let `produce` write the content under a temporary name, record it, and put it in place whole or not at all.

    The caller holds the artifact's lock: what is here under a temporary name, a killed process has left.
    """
    for left in target.folder.parent.glob(f".{target.folder.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    partial = target.folder.with_name(f".{target.folder.name}.{uuid.uuid4().hex[:8]}")
    partial.mkdir(parents=True)
    try:
        with explain_full_disk(partial):
            produce(partial / "content")
        files = {name: _record(path) for name, path in _files(partial / "content").items()}
        (partial / "manifest.json").write_text(json.dumps({"files": files}, indent=1))
        shutil.rmtree(target.folder, ignore_errors=True)
        partial.rename(target.folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn `no space left`, be it this process's or a program's, into a BlockedError that says how much there is."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise full_disk_error(folder) from error
    except CommandError as error:
        if "no space left on device" not in error.completed.error_text.lower():
            raise
        # Programs work in the folder for temporary files and in caches of their own, too.
        folders = (folder, Path(tempfile.gettempdir()), Path.home())
        raise full_disk_error(min(folders, key=_free_bytes)) from error


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise the BlockedError of a full disk before a file of a known size is begun that will not fit."""
    if _free_bytes(folder) < needed_bytes:
        raise full_disk_error(folder, f"this needs {needed_bytes >> 20} MiB")


def full_disk_error(
    folder: Path, needed: str = f"a cold build of everything needs {COLD_BUILD_GIB} GiB"
) -> BlockedError:
    """Return the error that says how much space there is, and how much is wanted."""
    free = _free_bytes(folder) / (1 << 30)
    return BlockedError(
        f"no space is left: {free:.1f} GiB free under {folder}; {needed}",
        next_step="free some, or let XDG_CACHE_HOME, GOCACHE, GOMODCACHE and TMPDIR name a larger disk",
    )


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


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
