"""Container images composed without an engine: an OCI archive from a root file system and static programs.

Deterministic: the same inputs give the same digest. The archive also carries `manifest.json`, so that both
`ctr images import` and `docker load` take it (https://github.com/opencontainers/image-spec/blob/main/image-layout.md).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubelab_helpers.artifacts.cache import sha256_of

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class ImageContent:
    """What an image is made of. `files` maps absolute paths in the image to local programs."""

    architecture: str
    files: Mapping[str, Path]
    entrypoint: Sequence[str] = ()
    user: str = ""
    base: Path | None = None
    links: Mapping[str, str] = field(default_factory=dict)


def write_archive(target: Path, reference: str, content: ImageContent) -> None:
    """Write the image as an OCI archive that names itself `reference`."""
    scratch = target.with_name(target.name + ".layer")
    try:
        _write_layer(scratch, content.files, content.links)
        layers = [path for path in (content.base, scratch) if path]
        _write(target, reference, content, layers)
    finally:
        scratch.unlink(missing_ok=True)


def manifest_digest(archive: Path) -> str:
    """Return the digest of the manifest in an archive: what containerd lists for the image."""
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        if index is None:
            raise ValueError(f"{archive} is no OCI archive")
        return str(json.load(index)["manifests"][0]["digest"])


def _write_layer(target: Path, files: Mapping[str, Path], links: Mapping[str, str]) -> None:
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for folder in sorted({str(parent) for path in files for parent in Path(path).parents if str(parent) != "/"}):
            entry = tarfile.TarInfo(folder.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, local in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = local.stat().st_size, 0o755
            with local.open("rb") as file:
                tar.addfile(entry, file)
        for path, pointed in sorted(links.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, pointed
            tar.addfile(entry)


def _write(target: Path, reference: str, content: ImageContent, layers: Sequence[Path]) -> None:
    described = [_describe(LAYER_TYPE, sha256_of(path), path.stat().st_size) for path in layers]
    settings: dict[str, Any] = {"Env": [PATH_VARIABLE]}
    if content.entrypoint:
        settings["Entrypoint"] = list(content.entrypoint)
    if content.user:
        settings["User"] = content.user
    config = _json(
        {
            "architecture": content.architecture,
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in described]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _describe_bytes(CONFIG_TYPE, config),
            "layers": described,
        }
    )
    names = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
    }
    index = {"schemaVersion": 2, "manifests": [{**_describe_bytes(MANIFEST_TYPE, manifest), "annotations": names}]}
    docker = {
        "Config": _blob(_describe_bytes(CONFIG_TYPE, config)["digest"]),
        "RepoTags": [reference],
        "Layers": [_blob(each["digest"]) for each in described],
    }
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        _add_bytes(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add_bytes(tar, "index.json", _json(index))
        _add_bytes(tar, "manifest.json", _json([docker]))
        for data in (config, manifest):
            _add_bytes(tar, f"blobs/sha256/{hashlib.sha256(data).hexdigest()}", data)
        for layer, path in zip(described, layers, strict=True):
            entry = tarfile.TarInfo(_blob(layer["digest"]))
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(entry, file)


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _describe(media_type: str, sha256: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256}", "size": size}


def _describe_bytes(media_type: str, data: bytes) -> dict[str, Any]:
    return _describe(media_type, hashlib.sha256(data).hexdigest(), len(data))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
