"""What a lab's registry is protected by: certificates of the lab's own authority, and one account.

They are in the lab's folder, which can be lost: what is missing is made anew, and the next `kubelab up` gives it to
registry and nodes.
https://distribution.github.io/distribution/about/configuration/#htpasswd
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kubelab_helpers.cluster import authority
from kubelab_helpers.cluster.authority import KeyPair
from kubelab_helpers.cluster.health import write_private
from kubelab_helpers.errors import InvalidInputError

USER = "kubelab"
"""One account that pushes and pulls: distribution's htpasswd knows no rights."""
PASSWORD_BYTES = 32
LIMIT_BYTES = 72
"""bcrypt reads no more; bcrypt 5 refuses longer passwords with a ValueError."""
# The password has 256 bits, which nobody guesses; and distribution computes the hash at every single request.
HASH_ROUNDS = 5
AUTHORITY, AUTHORITY_KEY, CERTIFICATE, KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
PASSWORD, HTPASSWD = "password", "htpasswd"


@dataclass(frozen=True)
class Protection:
    """What a lab asks of its registry: answers over TLS only, and only to who has the lab's password."""

    tls: bool = False
    authentication: bool = False


@dataclass(frozen=True)
class Login:
    """The account: its password, and the line of an htpasswd file that holds its bcrypt hash."""

    password: str = field(repr=False)
    htpasswd: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The value of the header Authorization (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class RegistrySecrets:
    """What there is of it; nothing is what a registry without protection has."""

    authority: KeyPair | None = None
    server: KeyPair | None = None
    login: Login | None = None

    @property
    def scheme(self) -> str:
        """Of the registry's URL."""
        return "https" if self.server else "http"

    @property
    def authority_certificate(self) -> bytes:
        """What a client must trust, PEM; empty without TLS."""
        return self.authority.certificate if self.authority else b""

    @property
    def authorization(self) -> str:
        """The header of that name in each request; empty for none."""
        return self.login.authorization if self.login else ""

    @property
    def served(self) -> dict[str, bytes]:
        """What the registry itself reads, by file name."""
        found = {CERTIFICATE: self.server.certificate, KEY: self.server.key} if self.server else {}
        return found | ({HTPASSWD: f"{self.login.htpasswd}\n".encode()} if self.login else {})

    @property
    def kept(self) -> dict[str, bytes]:
        """What the lab's folder has, by file name."""
        signing = self.authority
        found = {AUTHORITY: signing.certificate, AUTHORITY_KEY: signing.key} if signing else {}
        return found | self.served | ({PASSWORD: f"{self.login.password}\n".encode()} if self.login else {})


def obtain_secrets(folder: Path, wanted: Protection, lab: str, names: Sequence[str], now: datetime) -> RegistrySecrets:
    """Return what the folder has of what is wanted, and what it lacks, or has no longer long enough, made anew.

    Nothing is written: `keep_secrets` does that. `names`: DNS names and addresses by which the registry is asked.
    """
    files = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
    signing = server = None
    if wanted.tls:
        signing = _pair(files, AUTHORITY, AUTHORITY_KEY)
        if not authority.is_authority_usable(signing, now):
            signing = authority.make_authority(f"{lab} registry authority", now)
        server = _pair(files, CERTIFICATE, KEY)
        if not authority.is_server_usable(server, signing, names, now):
            server = authority.issue_certificate(signing, names, now)
    return RegistrySecrets(signing, server, _login(folder, files) if wanted.authentication else None)


def keep_secrets(folder: Path, found: RegistrySecrets) -> bool:
    """Write into the folder what it has not, each file mode 0600; return whether anything was."""
    missing = {name: content for name, content in found.kept.items() if _read(folder / name) != content}
    if missing:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in missing.items():
        write_private(folder / name, content.decode())
    return bool(missing)


def read_login(folder: Path) -> Login | None:
    """Return the account that the folder has; None without a password there."""
    files = {name: _read(folder / name) or b"" for name in (PASSWORD, HTPASSWD)}
    return _login(folder, files) if files[PASSWORD].strip() else None


def remove_secrets(folder: Path) -> list[str]:
    """Remove what `keep_secrets` wrote, and the folder if nothing else is in it; return what went."""
    names = (AUTHORITY, AUTHORITY_KEY, CERTIFICATE, KEY, PASSWORD, HTPASSWD)
    gone = [folder / name for name in names if (folder / name).is_file()]
    for path in gone:
        path.unlink()
    with suppress(OSError):
        folder.rmdir()
    return [f"file {path}" for path in gone]


def _login(folder: Path, files: Mapping[str, bytes]) -> Login:
    """Return the account with the password of the file; another than kubelab's may stand there."""
    import bcrypt

    password = files.get(PASSWORD, b"").decode().strip() or secrets.token_urlsafe(PASSWORD_BYTES)
    if len(password.encode()) > LIMIT_BYTES:
        raise InvalidInputError(
            f"{folder / PASSWORD} has more than {LIMIT_BYTES} bytes, and bcrypt reads no more",
            next_step="shorten it, or remove the file: kubelab then makes a password",
        )
    line = files.get(HTPASSWD, b"").decode().strip()
    with suppress(ValueError):  # of what is no hash
        if bcrypt.checkpw(password.encode(), line.removeprefix(f"{USER}:").encode()):
            return Login(password, line)
    return Login(password, f"{USER}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(HASH_ROUNDS)).decode()}")


def _pair(files: Mapping[str, bytes], certificate: str, key: str) -> KeyPair:
    return KeyPair(files.get(certificate, b""), files.get(key, b""))


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
