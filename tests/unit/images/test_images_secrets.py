# ruff: noqa: D102  the doubles have the methods of what they stand for
"""Build secrets: this machine's own network settings, as private files that do not outlive the build."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.hosts.command import Command, Completed
from kubelab_helpers.images.secrets import CA_VARIABLES, build_secrets, pip_configuration


class PipListing:
    """A runner whose pip says what it is told to say."""

    name = "test"

    def __init__(self, listing: str, status: int = 0) -> None:
        self.listing, self.status = listing, status

    def run(self, command: Command) -> Completed:
        return Completed(command, self.status, self.listing.encode(), b"")

    def check(self, command: Command) -> Completed:
        return self.run(command)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [*CA_VARIABLES, *(each for each in os.environ if each.startswith(("PIP_", "NPM_CONFIG_")))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def pip_conf(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return dict(parser["global"])


def test_the_stronger_scope_wins() -> None:
    text = pip_configuration(
        {
            ":env:": {"index-url": "https://env.example/simple"},
            "global": {"index-url": "https://global.example/simple", "default-timeout": "90"},
            "install": {"trusted-host": "wheels.example"},
        }
    )
    assert pip_conf(text) == {
        "index-url": "https://env.example/simple",
        "timeout": "90",
        "trusted-host": "wheels.example",
    }


def test_paths_of_this_machine_stay_here() -> None:
    settings = {"find-links": "/opt/wheels https://w.example/a", "cert": "/etc/ca.pem", "cache-dir": "/var/cache"}
    assert pip_conf(pip_configuration({"global": settings})) == {"find-links": "https://w.example/a"}
    assert pip_configuration({"global": {"find-links": "/opt/wheels", "cert": "/etc/ca.pem"}}) == ""


def test_secrets_are_private_files_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("a certificate")
    (tmp_path / ".npmrc").write_text("registry=https://npm.example/\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with build_secrets(runner=PipListing("global.index-url='https://pip.example/it%27s'\n")) as secrets:
        assert secrets["ca"].read_text() == "a certificate"
        assert secrets["npmrc"].read_text() == "registry=https://npm.example/\n"
        assert pip_conf(secrets["pip"].read_text()) == {"index-url": "https://pip.example/it%27s"}
        for path in secrets.values():
            assert path.stat().st_mode & 0o777 == 0o600
            assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not any(path.exists() or path.parent.exists() for path in secrets.values())


def test_the_environment_serves_where_there_is_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://env.example/simple")
    with build_secrets(runner=PipListing("No module named pip", status=1)) as secrets:
        assert pip_conf(secrets["pip"].read_text()) == {"index-url": "https://env.example/simple"}


def test_what_this_machine_does_not_need_is_an_empty_file() -> None:
    with build_secrets(runner=PipListing("")) as secrets:
        assert secrets["pip"].read_bytes() == b""
        assert secrets["npmrc"].read_bytes() == b""


def test_the_asked_bundle_wins_and_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, other = tmp_path / "asked.pem", tmp_path / "other.pem"
    asked.write_text("asked")
    other.write_text("other")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with build_secrets(asked, PipListing("")) as secrets:
        assert secrets["ca"].read_text() == "asked"
    with pytest.raises(InvalidInputError, match=r"gone\.pem is not there"), build_secrets(tmp_path / "gone.pem"):
        pass
