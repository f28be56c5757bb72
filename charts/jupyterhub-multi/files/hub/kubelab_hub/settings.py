"""What the chart tells the hub: values as JSON from a ConfigMap, secrets from mounted Secret files."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

SETTINGS_FILE = Path("/etc/jupyterhub/settings.json")
SECRET_FOLDER = Path("/etc/kubelab/secret")
ADMIN_FOLDER = Path("/etc/kubelab/admin")
TOKEN_FOLDER = Path("/etc/kubelab/services")


@dataclass(frozen=True)
class Secrets:
    """The hub's secrets; none is ever printed."""

    cookie_secret: bytes = field(repr=False)
    crypt_key: str = field(repr=False)
    proxy_token: str = field(repr=False)


@dataclass(frozen=True)
class Admin:
    """The first admin's account."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """The values for the hub, as templates/hub/_settings.tpl makes them, and its secrets."""

    values: Mapping[str, Any]
    secrets: Secrets
    admin: Admin
    tokens: Path
    """Folder with a file for each of the hub's services: its token."""

    def __getitem__(self, key: str) -> Any:
        """Return one of the values."""
        return self.values[key]


def stop(message: str) -> NoReturn:
    """End the hub's start with one message and no traceback."""
    sys.exit(f"kubelab: {message}")


def read_secret(folder: Path, key: str) -> str:
    """Return one key of a mounted Secret, without the newline that editors leave at its end."""
    try:
        text = (folder / key).read_text().rstrip("\r\n")
    except FileNotFoundError:
        stop(f"the Secret mounted at {folder} has no key {key!r}; add it and restart the hub")
    if not text:
        stop(f"the key {key!r} of the Secret mounted at {folder} is empty; set it and restart the hub")
    return text


def read_cookie_secret(folder: Path) -> bytes:
    """Return the 32 bytes that sign the login cookies."""
    text = read_secret(folder, "cookie-secret")
    try:
        return bytes.fromhex(text)
    except ValueError:
        stop(f"cookie-secret in {folder} is not hexadecimal; make one: openssl rand -hex 32")


def read_admin(folder: Path) -> Admin:
    """Return the admin's name and password."""
    return Admin(username=read_secret(folder, "username"), password=read_secret(folder, "password"))


def read_secrets(folder: Path) -> Secrets:
    """Return the hub's own secrets."""
    return Secrets(
        cookie_secret=read_cookie_secret(folder),
        crypt_key=read_secret(folder, "crypt-key"),
        proxy_token=read_secret(folder, "proxy-token"),
    )


def read_settings() -> Settings:
    """Read the mounted settings and Secrets."""
    return Settings(
        values=json.loads(SETTINGS_FILE.read_text()),
        secrets=read_secrets(SECRET_FOLDER),
        admin=read_admin(ADMIN_FOLDER),
        tokens=TOKEN_FOLDER,
    )
