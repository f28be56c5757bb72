"""What a build needs of this machine's own network settings, as files that BuildKit mounts and never stores."""

from __future__ import annotations

import ast
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner, Runner

CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# Of pip's settings only where packages come from; paths of this machine mean nothing inside a build.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "find-links", "no-index", "timeout", "default-timeout")
PIP_SCOPES = ("global", "install", ":env:")
"""From weak to strong: https://pip.pypa.io/en/stable/topics/configuration/#precedence-override-order"""


@contextmanager
def build_secrets(ca_bundle: Path | None = None, runner: Runner | None = None) -> Iterator[dict[str, Path]]:
    """Give the build's secrets by id, as files that only this user may read and that are gone afterwards.

    `ca`: a PEM bundle; `pip`: a pip.conf; `npmrc`: npm's user configuration.
    One that this machine does not need is an empty file.
    """
    with TemporaryDirectory(prefix="kubelab-build-") as folder:
        bundle = find_ca_bundle(ca_bundle)
        npmrc = Path(os.environ.get("NPM_CONFIG_USERCONFIG", "~/.npmrc")).expanduser()
        contents = {
            "ca": bundle.read_bytes() if bundle else b"",
            "pip": pip_configuration(read_pip_settings(runner or LocalRunner())).encode(),
            "npmrc": npmrc.read_bytes() if npmrc.is_file() else b"",
        }
        paths = {name: Path(folder) / name for name in contents}
        for name, content in contents.items():
            paths[name].touch(mode=0o600)
            paths[name].write_bytes(content)
        yield paths


def pip_configuration(settings: Mapping[str, Mapping[str, str]]) -> str:
    """Return a pip.conf with where packages come from, of settings by scope; empty if pip's own defaults hold."""
    kept: dict[str, str] = {}
    for scope in PIP_SCOPES:
        for name, value in settings.get(scope, {}).items():
            places = [word for word in value.split() if "://" in word]
            if name == "find-links" and not places:
                continue
            if name in PIP_SETTINGS:
                kept[name.removeprefix("default-")] = " ".join(places) if name == "find-links" else value
    if not kept:
        return ""
    return "\n".join(["[global]", *(f"{name} = {value}" for name, value in sorted(kept.items())), ""])


def read_pip_settings(runner: Runner) -> dict[str, dict[str, str]]:
    """Return pip's settings on this machine by scope; none where Python has no pip and the environment sets nothing."""
    settings: dict[str, dict[str, str]] = {}
    listed = runner.run(Command((sys.executable, "-m", "pip", "config", "list"), timeout_seconds=60))
    for line in listed.text.splitlines() if listed.status == 0 else ():
        if found := re.fullmatch(r"(:env:|[a-z]+)\.([a-z-]+)=(.*)", line.strip()):
            scope, name, value = found.groups()
            settings.setdefault(scope, {})[name] = str(ast.literal_eval(value))
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            settings.setdefault(":env:", {})[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def find_ca_bundle(asked: Path | None) -> Path | None:
    """Return the PEM bundle that this machine trusts, or the asked one; InvalidInputError if that is not there."""
    if asked is not None:
        if not asked.is_file():
            raise InvalidInputError(f"the CA bundle {asked} is not there", next_step="mend the setting trust.caBundle")
        return asked
    named = (os.environ[name] for name in CA_VARIABLES if os.environ.get(name))
    system = ssl.get_default_verify_paths().cafile
    candidates = [*named, *([system] if system else []), *SYSTEM_BUNDLES]
    return next((Path(each) for each in candidates if Path(each).is_file()), None)
