"""What lets a node into the cluster: made on a control plane at the moment it is needed."""

from __future__ import annotations

import secrets

from kubelab_helpers.cluster.kubeadm import (
    ADMIN_KUBECONFIG,
    DIRECTORY,
    KUBEADM,
    JoinCredentials,
    upload_certificates,
)
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import Runner

CERTIFICATE_KEY_BYTES = 32
"""AES-256: https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-init/#uploading-control-plane-certificates-to-the-cluster"""


def issue_credentials(control_plane: Runner) -> JoinCredentials:
    """Make a bootstrap token on the control plane, good for 30 minutes, and read the CA's hash."""
    admin = f"--kubeconfig={ADMIN_KUBECONFIG}"
    argv = (KUBEADM, "token", "create", "--ttl=30m", "--print-join-command", admin)
    words = control_plane.check(Command(argv, timeout_seconds=60)).text.split()
    try:
        return JoinCredentials(
            token=words[words.index("--token") + 1],
            ca_hash=words[words.index("--discovery-token-ca-cert-hash") + 1],
        )
    except (ValueError, IndexError) as error:
        raise KubelabError("kubeadm did not print a join command", repeat=" ".join(argv)) from error


def issue_control_plane_credentials(control_plane: Runner, kubernetes_version: str) -> JoinCredentials:
    """Issue what a further control plane needs: also the certificates, for two hours, and the encryption key's file.

    They pass through this process's memory, from one host's stdout to the other's stdin.
    """
    issued = issue_credentials(control_plane)
    key = secrets.token_hex(CERTIFICATE_KEY_BYTES)
    control_plane.check(upload_certificates(key, kubernetes_version))
    encryption = control_plane.check(Command(("cat", f"{DIRECTORY}/encryption.yaml"))).stdout
    return JoinCredentials(issued.token, issued.ca_hash, key, encryption)
