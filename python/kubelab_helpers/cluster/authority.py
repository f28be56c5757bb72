"""A certificate authority of a lab's own, for servers that only the lab's hosts and its operator ask.

No process but kubelab's signs with it: https://cryptography.io/en/latest/x509/tutorial/
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY_DAYS = 3650
SERVER_DAYS = 730
RENEW_DAYS = 60
"""A certificate with fewer days left is made anew by the next `kubelab up`, as a control plane renews its own."""
SKEW = timedelta(hours=1)
"""How far another host's clock may be behind."""


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key (PKCS #8), both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_authority(name: str, now: datetime) -> KeyPair:
    """Return a new authority of that common name, good for ten years; it signs servers and no other authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    named = _name(name)
    builder = _begin(named, named, key, now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return _signed(builder.add_extension(_usage(authority=True), critical=True), key, key)


def issue_certificate(authority: KeyPair, names: Sequence[str], now: datetime) -> KeyPair:
    """Return a new server's certificate for DNS names and IPv4 addresses, the first of which is its common name."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    signer, signing_key = _load(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begin(_name(names[0]), signer.subject, key, now, SERVER_DAYS)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(authority=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([_alternative(name) for name in names]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return _signed(builder, key, signing_key)


def days_left(certificate: bytes, now: datetime) -> int:
    """Return the whole days that a PEM certificate has left; negative when it is expired."""
    from cryptography import x509

    return (x509.load_pem_x509_certificate(certificate).not_valid_after_utc - now).days


def is_authority_usable(pair: KeyPair, now: datetime) -> bool:
    """Return whether an authority can be read and outlives what it would sign now."""
    with suppress(ValueError, TypeError):
        _load(pair)
        return days_left(pair.certificate, now) >= SERVER_DAYS
    return False


def is_server_usable(pair: KeyPair, authority: KeyPair, names: Sequence[str], now: datetime) -> bool:
    """Return whether a server's pair can be read, is of this authority and for these names, and has days enough."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    with suppress(ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        found, _ = _load(pair)
        found.verify_directly_issued_by(_load(authority)[0])
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return days_left(pair.certificate, now) >= RENEW_DAYS and {_alternative(name) for name in names} <= set(
            alternatives
        )
    return False


def _load(pair: KeyPair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return both halves; ValueError when one cannot be read, or they are not of each other."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = x509.load_pem_x509_certificate(pair.certificate)
    key = load_pem_private_key(pair.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise ValueError("the key is not the certificate's")
    return certificate, key


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    with suppress(ValueError):
        address = ip_address(name)
        assert isinstance(address, IPv4Address)
        return x509.IPAddress(address)
    return x509.DNSName(name)


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - SKEW).not_valid_after(now + timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(*, authority: bool) -> x509.KeyUsage:
    from cryptography import x509

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


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signing_key: ec.EllipticCurvePrivateKey
) -> KeyPair:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    certificate = builder.sign(signing_key, hashes.SHA256())
    return KeyPair(
        certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
