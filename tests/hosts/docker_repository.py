"""A signed apt repository with packages under Docker CE's names; their content is Debian's own Docker.

Docker's own repository is not needed for what is tried with it: the signature, the replacement, the way back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pysequoia import SignatureMode, Tsk, sign

from kubelab_helpers.hosts.command import Command

from .machines import Machine

# docker-ce conflicts with docker.io, containerd.io with containerd and runc, as Docker's own packages do.
REPACK = """
work=$(mktemp -d); cd "$work"
apt-get -qq download docker.io containerd runc
for each in docker.io containerd runc; do dpkg-deb --raw-extract "$each"_*.deb "$each"; done
version=$(dpkg-deb --field docker.io_*.deb Version)
depends=$(dpkg-deb --field docker.io_*.deb Depends | tr ',' '\\n' | grep -v -e containerd -e runc |
    tr '\\n' ',' | sed 's/,$//')
mkdir -p cli/DEBIAN cli/usr/bin
mv docker.io/usr/bin/docker cli/usr/bin/
cp -a runc/usr/. containerd/usr/
rm -rf docker.io/usr/share/doc containerd/usr/share/doc docker.io/usr/share/lintian containerd/usr/share/lintian
control() {
    printf 'Package: %s\\nVersion: 5:%s\\nArchitecture: %s\\nMaintainer: a test\\nDescription: repacked\\n' \\
        "$1" "$version" "$(dpkg --print-architecture)"
    printf '%s\\n' "$2"
}
control docker-ce "Depends: docker-ce-cli, containerd.io, $depends
Conflicts: docker.io
Replaces: docker.io" > docker.io/DEBIAN/control
control docker-ce-cli "Conflicts: docker.io
Replaces: docker.io" > cli/DEBIAN/control
control containerd.io "Conflicts: containerd, runc
Replaces: containerd, runc
Provides: containerd, runc" > containerd/DEBIAN/control
for each in docker.io cli containerd; do
    rm -f "$each/DEBIAN/md5sums"
    dpkg-deb --build -Znone "$each" "$each.deb" >/dev/null
done
"""


@dataclass(frozen=True)
class Key:
    """A key pair for signing a repository; `public` is ASCII-armoured."""

    secret: Tsk
    public: bytes
    fingerprint: str


def make_key() -> Key:
    """Make a key pair that nobody has seen before."""
    secret = Tsk.generate("A test <test@example.org>")
    public = secret.extract_certificate()
    return Key(secret, str(public).encode(), str(public.fingerprint).upper())


class SignedRepository:
    """A repository with one suite in a folder of this machine, which a host finds at /srv/repository."""

    suite = "bookworm"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o755)

    def fill(self, host: Machine) -> None:
        """Repack the host's Debian packages there, fetch them, and write the list of them."""
        work = host.shell(REPACK + '\necho "$work"', timeout_seconds=300).splitlines()[-1]
        paragraphs = []
        for name in ("docker.io", "cli", "containerd"):
            file = self.folder / f"{name}.deb"
            file.write_bytes(host.runner.check(Command(("cat", f"{work}/{name}.deb"))).stdout)
            fields = host.run("dpkg-deb", "--field", f"{work}/{name}.deb").strip()
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            paragraphs.append(f"{fields}\nFilename: {file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n")
        host.run("rm", "-rf", work)
        for architecture in ("amd64", "arm64"):
            self._packages(architecture).parent.mkdir(parents=True)
            self._packages(architecture).write_text("\n".join(paragraphs))

    def sign(self, key: Key) -> None:
        """Write the release file and its signature anew."""
        names = [self._packages(architecture) for architecture in ("amd64", "arm64")]
        dists = self.folder / "dists" / self.suite
        lines = [
            f" {hashlib.sha256(name.read_bytes()).hexdigest()} {name.stat().st_size} {name.relative_to(dists)}"
            for name in names
        ]
        date = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} UTC"
        head = f"Suite: {self.suite}\nCodename: {self.suite}\nComponents: stable\nArchitectures: amd64 arm64\n"
        release = (head + f"Date: {date}\nSHA256:\n" + "\n".join(lines) + "\n").encode()
        (dists / "Release").write_bytes(release)
        (dists / "Release.gpg").write_bytes(sign(key.secret.signer(), release, mode=SignatureMode.DETACHED))

    def _packages(self, architecture: str) -> Path:
        return self.folder / "dists" / self.suite / "stable" / f"binary-{architecture}" / "Packages"
