"""What decides an image's content, hashed: an image whose hash is unchanged is not built again."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab_helpers.hosts.change import stamp_of

if TYPE_CHECKING:
    from kubelab_helpers.images.catalog import Image


def folder_stamp(folder: Path, own_files: str = "", version: str = "") -> str:
    """Return a hash of the files that a build in `folder` can see: names, contents, and who may run them.

    `own_files` is a pattern with `{python}`: of the files it matches for any version, only `version`'s counts.
    What .dockerignore leaves out does not count, nor do times and owners, which BuildKit does not compare either.
    """
    from docker.utils.build import exclude_paths

    ignore = folder / ".dockerignore"
    patterns = ignore.read_text().splitlines() if ignore.is_file() else []
    seen = exclude_paths(str(folder), [line for line in patterns if line.strip() and not line.startswith("#")])
    others, own = own_files.replace("{python}", "*"), own_files.replace("{python}", version)
    parts: list[bytes | str] = []
    for name in sorted(seen):
        path = folder / name
        if not path.is_file() or (own_files and name != own and fnmatch.fnmatchcase(name, others)):
            continue
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        parts += [name, executable, hashlib.sha256(path.read_bytes()).digest()]
    return stamp_of(*parts)


def image_hash(image: Image, folder: Path, base_keys: Mapping[str, str], below: Sequence[str], registry: str) -> str:
    """Return the input hash of an image: its files, its arguments, its names, and what it stands on.

    `base_keys` holds the content key of each of the image's root file systems, `below` the hashes of the images that it
    stands on. The machine's own settings (mirrors, CA bundle, proxies) are no part of it: they decide how the build
    gets its inputs, not which.
    """
    version = image.python.version if image.python else ""
    files = folder_stamp(folder, image.own_files, version)
    arguments = [f"{name}={value}" for name, value in image.arguments]
    keys = [f"{name}={base_keys[name]}" for name in image.bases]
    return stamp_of("image-1", image.reference(registry), image.title, files, *arguments, *keys, *below)
