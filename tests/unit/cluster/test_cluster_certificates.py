"""Certificates as a node sends them, and the days that they have left. They are made here, really signed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubelab_helpers.cluster.certificates import find_expired, parse_certificates
from kubelab_helpers.errors import KubelabError

TODAY = datetime(2026, 6, 1, tzinfo=UTC)


def make_pem(name: str, days: int, *, authority: bool = False) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    ends = TODAY + timedelta(days=days)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(ends - timedelta(days=400)).not_valid_after(ends)
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_files_and_kubeconfigs_are_read_the_nearest_end_first() -> None:
    config = base64.b64encode(make_pem("admin", 20).encode()).decode()
    sent = f"file /pki/ca.crt\n{make_pem('ca', 3650, authority=True)}kubeconfig /etc/kubernetes/admin.conf\n{config}\n"
    admin, ca = parse_certificates(sent)
    assert (admin.path, admin.subject, admin.days_left(TODAY), admin.authority) == (
        "/etc/kubernetes/admin.conf",
        "CN=admin",
        20,
        False,
    )
    assert (ca.path, ca.days_left(TODAY), ca.authority) == ("/pki/ca.crt", 3650, True)


def test_an_expired_one_has_days_below_zero_and_is_found() -> None:
    sent = f"file /pki/old.crt\n{make_pem('old', -2)}file /pki/new.crt\n{make_pem('new', 2)}"
    found = parse_certificates(sent)
    assert [each.path for each in find_expired(found, TODAY)] == ["/pki/old.crt"]
    assert found[0].days_left(TODAY) == -2


def test_of_a_chain_the_first_counts() -> None:
    sent = f"file /pki/kubelet.crt\n{make_pem('kubelet', 30)}{make_pem('ca', 3000, authority=True)}"
    assert [each.subject for each in parse_certificates(sent)] == ["CN=kubelet"]


@pytest.mark.parametrize("sent", ["file /pki/empty.crt\n", "kubeconfig /etc/kubernetes/admin.conf\nnot base64\n"])
def test_a_file_without_a_certificate_is_named(sent: str) -> None:
    with pytest.raises(KubelabError, match="holds no certificate"):
        parse_certificates(sent)


def test_a_host_that_is_no_node_has_none() -> None:
    assert parse_certificates("") == []
