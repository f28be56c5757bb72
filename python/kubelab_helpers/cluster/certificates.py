"""Every certificate of a node and the days it has left, read without changing anything.

The host only needs a POSIX shell: it sends the certificates, which are public, and they are decoded here. So one way
serves this host and one over SSH without Python or openssl, and kubelet's certificates, of which
`kubeadm certs check-expiration` says nothing, are seen too. No private key leaves the host.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import Runner

WARN_DAYS = 30

# kubelet-client-current.pem and its like hold the key too: only what stands between the certificate's lines is sent.
_READ = """set -eu
for path in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt /var/lib/kubelet/pki/kubelet-client-current.pem \\
    /var/lib/kubelet/pki/kubelet.crt /var/lib/kubelet/pki/kubelet-server-current.pem; do
  [ -f "$path" ] || continue
  printf 'file %s\\n' "$path"
  sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' "$path"
done
for path in /etc/kubernetes/*.conf; do
  [ -f "$path" ] || continue
  data=$(sed -n 's/^ *client-certificate-data: *//p' "$path" | head -n 1)
  [ -z "$data" ] || printf 'kubeconfig %s\\n%s\\n' "$path" "$data"
done
"""


@dataclass(frozen=True)
class Certificate:
    """One certificate: where it is, for whom, by whom, and the end of its time (UTC)."""

    path: str
    subject: str
    issuer: str
    expires: datetime
    authority: bool

    def days_left(self, now: datetime) -> int:
        """Return the whole days that are left; negative when it is expired."""
        return (self.expires - now).days

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires <= now


def read_certificates(runner: Runner) -> list[Certificate]:
    """Return a node's certificates, the one that ends first first; empty on a host that is no node."""
    return parse_certificates(runner.check(Command(("sh", "-c", _READ, "read-certificates"), timeout_seconds=30)).text)


def parse_certificates(text: str) -> list[Certificate]:
    """Return what the host sent: `file PATH` or `kubeconfig PATH`, then PEM or base64 of PEM.

    KubelabError names the file that holds no certificate.
    """
    blocks: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        kind, _, path = line.partition(" ")
        if kind in {"file", "kubeconfig"} and path.startswith("/"):
            blocks.append((kind, path, []))
        elif blocks:
            blocks[-1][2].append(line)
    found = [_decode(kind, path, lines) for kind, path, lines in blocks]
    return sorted(found, key=lambda each: (each.expires, each.path))


def find_expired(certificates: Sequence[Certificate], now: datetime) -> list[Certificate]:
    """Return those whose time is over."""
    return [each for each in certificates if each.is_expired(now)]


def now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


def _decode(kind: str, path: str, lines: Sequence[str]) -> Certificate:
    from cryptography import x509

    pem = "\n".join(lines).encode()
    try:
        data = base64.b64decode(pem, validate=False) if kind == "kubeconfig" else pem
        # The first is the file's own; what follows it are those that signed it.
        found = x509.load_pem_x509_certificates(data)[0]
    except (ValueError, binascii.Error) as error:
        raise KubelabError(
            f"{path} holds no certificate that can be read", next_step="`kubelab-host status` says who changed it"
        ) from error
    try:
        authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    names = (found.subject.rfc4514_string(), found.issuer.rfc4514_string())
    return Certificate(path, *names, found.not_valid_after_utc, authority)
