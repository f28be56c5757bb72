"""What an image holds that could come from the machine that built it: certificate authorities and package settings."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from kubelab_helpers.images.filesystem import exported, read_member
from kubelab_helpers.images.secrets import build_secrets
from kubelab_helpers.images.trial import run_program

if TYPE_CHECKING:
    from docker import DockerClient

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.+?)\s+-----END CERTIFICATE-----", re.DOTALL)
SETTINGS = {"pip.conf", "npmrc", ".npmrc", ".netrc", ".pypirc", "uv.toml"}
DEBIAN_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
DEBIAN_SOURCES = "usr/share/ca-certificates/"
OWNED_BY_PIP = re.compile(r"(.*/site-packages)/(.+)")
CERTIFICATE_LINE = 64


@dataclass
class Contents:
    """Certificates and digests of their files, by path; settings; files with an authority of this machine alone.

    `recorded`: the digest of each file that an installed Python distribution names.
    """

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

    @property
    def strangers(self) -> list[str]:
        """The .pem and .crt files with others than Debian's that no Python distribution brought byte for byte."""
        return sorted(
            path
            for path, certificates in self.certificates.items()
            if not certificates <= self.debian
            and not (OWNED_BY_PIP.fullmatch(path) and self.recorded.get(path) == self.digests[path])
        )


def read_trust(engine: DockerClient, reference: str) -> Contents:
    """Read an image once; authorities of this machine that are not public are looked for in every file."""
    script = f"find /{DEBIAN_SOURCES} -name '*.crt' -exec cat {{}} +"
    debian = run_program(engine, reference, ["sh", "-c", script]).output.encode()
    only_here = machine_certificates() - read_certificates(debian) - public_certificates()
    # The last full line of its base64 text lies in the signature: a reissued authority shares everything else.
    ends = {each: (len(each) - 1) // CERTIFICATE_LINE * CERTIFICATE_LINE for each in only_here}
    return read_contents(engine, reference, {each[end - CERTIFICATE_LINE : end]: each for each, end in ends.items()})


def read_contents(engine: DockerClient, reference: str, foreign: Mapping[bytes, bytes]) -> Contents:
    """Read an image; `foreign` maps a part of a certificate, as a file would hold it, to the certificate."""
    contents = Contents()
    with exported(engine, reference) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.name in SETTINGS:
                contents.settings.append(member.name)
            if not member.isfile():
                continue
            text = read_member(tar, member)
            if any(part in text for part in foreign):
                contents.machine_files.append(member.name)
            if path.suffix in {".pem", ".crt"}:
                contents.certificates[member.name] = read_certificates(text)
                digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest())
                contents.digests[member.name] = digest.rstrip(b"=").decode()
            elif path.name == "RECORD":
                contents.recorded.update(record_entries(member.name, text))
    return contents


def read_certificates(text: bytes) -> frozenset[bytes]:
    """Return the certificates of a PEM text, each without line breaks."""
    return frozenset(b"".join(body.split()) for body in CERTIFICATE.findall(text))


def machine_certificates() -> frozenset[bytes]:
    """Return the certificates that a build on this machine is given."""
    with build_secrets() as secrets:
        return read_certificates(secrets["ca"].read_bytes())


def public_certificates() -> frozenset[bytes]:
    """Return the public authorities as requests has them."""
    import certifi

    return read_certificates(Path(certifi.where()).read_bytes())


def record_entries(record: str, text: bytes) -> Iterator[tuple[str, str]]:
    """Yield the path and sha256 of each file that an installed package's RECORD names."""
    root = PurePosixPath(record).parent.parent
    for line in text.decode().splitlines():
        name, digest, _ = line.rsplit(",", 2)
        if digest.startswith("sha256="):
            yield str(root / name), digest.removeprefix("sha256=")
