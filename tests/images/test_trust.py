"""No image carries what belongs to the machine that built it: its certificate authorities and its package settings."""

from __future__ import annotations

import base64
import hashlib
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, cast

import certifi
import pytest

from kubelab_helpers.images.secrets import build_secrets

from .containers import require_output

if TYPE_CHECKING:
    import docker

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.+?)\s+-----END CERTIFICATE-----", re.DOTALL)
SETTINGS = {"pip.conf", "npmrc", ".npmrc", ".netrc", ".pypirc", "uv.toml"}
DEBIAN_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
DEBIAN_SOURCES = "usr/share/ca-certificates/"
OWNED_BY_PIP = re.compile(r"(.*/site-packages)/(.+)")


@dataclass
class Contents:
    """What an image holds that could come from a build machine; certificates without line breaks, files by path."""

    certificates: dict[str, frozenset[bytes]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)
    settings: list[str] = field(default_factory=list)
    machine_files: list[str] = field(default_factory=list)

    @property
    def debian(self) -> frozenset[bytes]:
        """The certificates that Debian's ca-certificates package brings."""
        found = [each for path, each in self.certificates.items() if path.startswith(DEBIAN_SOURCES)]
        return frozenset().union(*found)


def read_certificates(text: bytes) -> frozenset[bytes]:
    return frozenset(b"".join(body.split()) for body in CERTIFICATE.findall(text))


def record_entries(record: str, text: bytes) -> Iterator[tuple[str, str]]:
    """Yield the path and sha256 of each file that an installed package's RECORD names."""
    root = PurePosixPath(record).parent.parent
    for line in text.decode().splitlines():
        name, digest, _ = line.rsplit(",", 2)
        if digest.startswith("sha256="):
            yield str(root / name), digest.removeprefix("sha256=")


@contextmanager
def exported(client: docker.DockerClient, reference: str) -> Iterator[tarfile.TarFile]:
    """Give an image's whole file system as an archive."""
    container = client.containers.create(reference, ["true"])
    try:
        with TemporaryFile() as file:
            for chunk in container.export(chunk_size=1 << 20):
                file.write(cast("bytes", chunk))
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                yield tar
    finally:
        container.remove(force=True)


def machine_certificates() -> frozenset[bytes]:
    """Return the certificates that a build on this machine is given."""
    with build_secrets() as secrets:
        return read_certificates(secrets["ca"].read_bytes())


def read_contents(client: docker.DockerClient, reference: str, foreign: Mapping[bytes, bytes]) -> Contents:
    """Read an image once; `foreign` maps a part of a certificate, as a file would hold it, to the certificate."""
    contents = Contents()
    with exported(client, reference) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.name in SETTINGS:
                contents.settings.append(member.name)
            if not member.isfile():
                continue
            text = cast("IO[bytes]", tar.extractfile(member)).read()
            if any(part in text for part in foreign):
                contents.machine_files.append(member.name)
            if path.suffix in {".pem", ".crt"}:
                contents.certificates[member.name] = read_certificates(text)
                digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest())
                contents.digests[member.name] = digest.rstrip(b"=").decode()
            elif path.name == "RECORD":
                contents.recorded.update(record_entries(member.name, text))
    return contents


@pytest.fixture(scope="module")
def contents(client: docker.DockerClient, server_image: str) -> Contents:
    """What the image under test holds; authorities of this machine that are not public are looked for in every file."""
    script = f"find /{DEBIAN_SOURCES} -name '*.crt' -exec cat {{}} +"
    debian = require_output(client, server_image, ["sh", "-c", script]).encode()
    public = read_certificates(debian) | read_certificates(Path(certifi.where()).read_bytes())
    only_here = machine_certificates() - public
    # The last full line of its base64 text lies in the signature: a reissued authority shares everything else.
    parts = {each[end - 64 : end]: each for each in only_here for end in [(len(each) - 1) // 64 * 64]}
    return read_contents(client, server_image, parts)


def test_trust_store_is_exactly_debians(contents: Contents) -> None:
    """The system store has Debian's authorities, all of them and no other."""
    assert contents.certificates[DEBIAN_BUNDLE] == contents.debian
    assert len(contents.debian) > 100


def test_every_certificate_file_came_with_a_package(contents: Contents) -> None:
    """Each .pem and .crt holds Debian's authorities only, or is byte for byte what a locked Python package brought."""
    strangers = {
        path
        for path, certificates in contents.certificates.items()
        if not certificates <= contents.debian
        and not (OWNED_BY_PIP.fullmatch(path) and contents.recorded.get(path) == contents.digests[path])
    }
    assert strangers == set()


def test_no_file_holds_an_authority_of_this_machine(contents: Contents) -> None:
    """A certificate that the build was given, and that Debian does not ship, is in no file of the image."""
    assert contents.machine_files == []


def test_no_package_settings_stay(contents: Contents) -> None:
    """No index address, token or proxy of the build machine's pip or npm is in the image."""
    assert contents.settings == []


def test_history_and_environment_name_no_secret(client: docker.DockerClient, server_image: str) -> None:
    """The CA and the package settings are mounts of single build steps: no variable of the image points at them."""
    image = client.images.get(server_image)
    names = {entry.partition("=")[0] for entry in image.attrs["Config"]["Env"]}
    assert not {name for name in names if "CERT" in name or name.startswith(("PIP_", "NPM_", "NODE_EXTRA"))}
    assert not {name for name in names if name.lower().endswith("_proxy")}
