"""A certificate authority of the release's own, and the server's certificate that it signs.

https://cryptography.io/en/latest/x509/tutorial/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 7300
"""Twice what a certificate may be good for, so that a CA signs many."""
SKEW = timedelta(hours=1)
"""How far another clock may be behind."""
KEYS = {
    "ECDSA": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 4096),
}
"""How each kind of key is made: ECDSA on P-256, RSA with 4096 bits."""


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key (PKCS #8), both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_authority(name: str, algorithm: str, now: datetime) -> KeyPair:
    """Return a new authority, good for twenty years; it signs servers and no other authority."""
    key = KEYS[algorithm]()
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _begin(named, named, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
    )
    return _sign(builder, key, key)


def issue(authority: KeyPair, hosts: Sequence[str], days: int, algorithm: str, now: datetime) -> KeyPair:
    """Return a server's certificate for DNS names and addresses, good for `days`, but not longer than its authority."""
    signer = x509.load_pem_x509_certificate(authority.certificate)
    signing_key: Any = serialization.load_pem_private_key(authority.key, password=None)
    key = KEYS[algorithm]()
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    left = (signer.not_valid_after_utc - now).days
    builder = (
        _begin(named, signer.subject, key, now, min(days, left))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return _sign(builder, key, signing_key)


def find_reason(
    certificate: bytes, hosts: Sequence[str], algorithm: str, renew_before_days: int, now: datetime
) -> str:
    """Return why a server's certificate should be made anew, or nothing."""
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return "it cannot be read"
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "it names no host"
    if isinstance(found.public_key(), rsa.RSAPublicKey) != (algorithm == "RSA"):
        return f"its key is not {algorithm}"
    if missing := [host for host in hosts if _alternative(host) not in names]:
        return f"it is not for {', '.join(missing)}"
    left = found.not_valid_after_utc - now
    return f"it has {left.days} days left" if left <= timedelta(days=renew_before_days) else ""


def is_usable(authority: KeyPair, days: int, now: datetime) -> bool:
    """Return whether an authority can be read and outlives what it would sign now."""
    try:
        serialization.load_pem_private_key(authority.key, password=None)
        found = x509.load_pem_x509_certificate(authority.certificate)
    except (TypeError, ValueError):
        return False
    return found.not_valid_after_utc >= now + timedelta(days=days)


def _begin(subject: x509.Name, issuer: x509.Name, key: Any, now: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _sign(builder: x509.CertificateBuilder, key: Any, signing_key: Any) -> KeyPair:
    certificate = builder.sign(signing_key, hashes.SHA256())
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
