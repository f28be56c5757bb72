"""What lets a node into the cluster: made on a control plane at the moment it is needed."""

from __future__ import annotations

from kubelab_helpers.cluster.kubeadm import ADMIN_KUBECONFIG, KUBEADM, JoinCredentials
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import Runner


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
