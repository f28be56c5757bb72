"""What protects a lab's registry: made once, kept to the owner, and made anew only where it must be."""

from __future__ import annotations

import dataclasses
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509

from kubelab_helpers.cluster.authority import RENEW_DAYS, SERVER_DAYS, days_left
from kubelab_helpers.cluster.registry_secrets import (
    Protection,
    RegistrySecrets,
    keep_secrets,
    obtain_secrets,
    read_login,
    remove_secrets,
)
from kubelab_helpers.errors import InvalidInputError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("localhost", "127.0.0.1", "172.30.250.2")
BOTH = Protection(tls=True, authentication=True)


def obtain(
    folder: Path, wanted: Protection = BOTH, now: datetime = NOW, names: tuple[str, ...] = NAMES
) -> RegistrySecrets:
    return obtain_secrets(folder, wanted, "physics", names, now)


def keep(folder: Path, now: datetime = NOW) -> RegistrySecrets:
    found = obtain(folder, now=now)
    assert keep_secrets(folder, found)
    return found


def test_nothing_asked_is_nothing_made(tmp_path: Path) -> None:
    found = obtain(tmp_path / "registry", Protection())
    assert found == RegistrySecrets()
    assert not keep_secrets(tmp_path / "registry", found)
    assert list(tmp_path.iterdir()) == []


def test_obtaining_writes_nothing(tmp_path: Path) -> None:
    obtain(tmp_path / "registry")
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_is_the_owners_alone_and_stays_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    made = keep(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == dict.fromkeys(
        ("ca.crt", "ca.key", "tls.crt", "tls.key", "password", "htpasswd"), 0o600
    )
    again = obtain(folder, now=NOW + timedelta(days=SERVER_DAYS - RENEW_DAYS))
    assert again == made
    assert not keep_secrets(folder, again)


def test_the_certificate_is_for_the_names_and_of_the_authority(tmp_path: Path) -> None:
    found = obtain(tmp_path)
    assert found.server
    assert found.authority
    server = x509.load_pem_x509_certificate(found.server.certificate)
    server.verify_directly_issued_by(x509.load_pem_x509_certificate(found.authority.certificate))
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "172.30.250.2"]


def test_a_certificate_is_renewed_before_it_ends_and_the_authority_stays(tmp_path: Path) -> None:
    made = keep(tmp_path)
    late = NOW + timedelta(days=SERVER_DAYS - RENEW_DAYS + 1)
    renewed = obtain(tmp_path, now=late)
    assert renewed.authority == made.authority
    assert renewed.login == made.login
    assert renewed.server != made.server
    assert renewed.server
    assert days_left(renewed.server.certificate, late) == SERVER_DAYS


def test_an_authority_signs_nothing_that_outlives_it(tmp_path: Path) -> None:
    made = keep(tmp_path)
    late = NOW + timedelta(days=3650 - SERVER_DAYS + 1)
    renewed = obtain(tmp_path, now=late)
    assert renewed.authority != made.authority


def test_another_address_means_another_certificate(tmp_path: Path) -> None:
    made = keep(tmp_path)
    other = obtain(tmp_path, names=("localhost", "127.0.0.1", "172.31.0.2"))
    assert (other.authority == made.authority, other.server == made.server) == (True, False)


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_file_is_replaced(tmp_path: Path, name: str, content: str) -> None:
    made = keep(tmp_path)
    (tmp_path / name).write_text(content)
    mended = obtain(tmp_path)
    assert mended.server
    assert mended.authority
    assert (mended.authority == made.authority) is name.startswith("tls")
    server = x509.load_pem_x509_certificate(mended.server.certificate)
    server.verify_directly_issued_by(x509.load_pem_x509_certificate(mended.authority.certificate))


def test_the_password_is_long_and_its_hash_is_its_own(tmp_path: Path) -> None:
    login = keep(tmp_path).login
    assert login
    user, _, hashed = login.htpasswd.partition(":")
    assert user == "kubelab"
    assert len(login.password) >= 43
    assert bcrypt.checkpw(login.password.encode(), hashed.encode())
    assert read_login(tmp_path) == login


def test_a_password_of_ones_own_is_taken(tmp_path: Path) -> None:
    made = keep(tmp_path)
    (tmp_path / "password").write_text("chosen by hand\n")
    found = obtain(tmp_path).login
    assert found
    assert found.password == "chosen by hand"
    assert made.login
    assert found.htpasswd != made.login.htpasswd
    assert bcrypt.checkpw(b"chosen by hand", found.htpasswd.removeprefix("kubelab:").encode())


def test_a_password_beyond_bcrypt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x" * 73)
    with pytest.raises(InvalidInputError, match="has more than 72 bytes") as caught:
        obtain(tmp_path)
    assert "xxx" not in caught.value.what


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    found = obtain(tmp_path)
    assert found.login
    assert found.server
    shown = repr(found) + repr(dataclasses.replace(found, server=None))
    assert found.login.password not in shown
    assert found.login.htpasswd not in shown
    assert "PRIVATE" not in shown


def test_what_was_kept_goes_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    keep(folder)
    (folder / "notes").write_text("mine")
    assert len(remove_secrets(folder)) == 6
    assert [path.name for path in folder.iterdir()] == ["notes"]
    (folder / "notes").unlink()
    assert remove_secrets(folder) == []
    assert not folder.exists()
