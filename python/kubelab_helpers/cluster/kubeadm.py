"""The cluster's own steps: kubeadm init on the first control plane, kubeadm join on a worker. Pure, like every Step."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubelab_helpers.hosts.change import Action, Change, File
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.steps.system import RESOLV_CONF
from kubelab_helpers.hosts.template import render

DIRECTORY = "/etc/kubernetes/kubelab"
ADMIN_KUBECONFIG = "/etc/kubernetes/admin.conf"
KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf"
JOIN_FILE = "/run/kubelab/join.yaml"
KUBEADM = "/usr/local/bin/kubeadm"
KUBEADM_TIMEOUT_SECONDS = 400.0

# kubeadm's system verification reads the kernel's build configuration, which kernels without /lib/modules and
# /proc/config.gz do not show; the features it asks for are probed by their effect instead (hosts/steps/system.py).
IGNORED_PREFLIGHT = "SystemVerification"

# `docker exec` and ssh leave their command running when they are interrupted: the next one waits for its end.
_ONE_AT_A_TIME = ("flock", "--close", "--timeout=300", "/run/kubelab-kubeadm.lock")

# The key is made on the host, once, and never leaves it. secretbox is the strongest provider that needs no key
# service: https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#providers
_MAKE_ENCRYPTION_KEY = """set -eu
[ -e "$1" ] && exit 0
umask 077
mkdir -p "$(dirname "$1")"
key=$(head -c 32 /dev/urandom | base64)
cat > "$1.partial" <<END
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys: [{name: kubelab-1, secret: $key}]
      - identity: {}
END
mv "$1.partial" "$1"
"""

_RUN_WITH_FILE = """set -eu
umask 077
file=$1
shift
mkdir -p "$(dirname "$file")"
trap 'rm -f "$file"' EXIT
cat > "$file"
"$@"
"""


@dataclass(frozen=True)
class JoinCredentials:
    """What a node needs to join: a bootstrap token (secret, short-lived) and the cluster CA's public key hash."""

    token: str = field(repr=False)
    ca_hash: str


def init_step(schedulable: bool, etcd_tag: str, coredns_tag: str) -> Step:
    """Return the step that makes the first control plane.

    `schedulable`: whether pods may run on it, for a cluster without workers. The tags are those of the images.
    """

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        config = render(
            "kubeadm/init.yaml",
            node=spec,
            schedulable=schedulable,
            sans=[spec.address, spec.endpoint_name, "127.0.0.1", "localhost", *spec.certificate_sans],
            directory=DIRECTORY,
            resolv_conf=RESOLV_CONF,
            cgroup=facts.cgroup,
            conntrack_writable="nf_conntrack_max" in facts.writable,
            etcd_tag=etcd_tag,
            coredns_tag=coredns_tag,
        )
        path = f"{DIRECTORY}/init.yaml"
        key = Command(("sh", "-c", _MAKE_ENCRYPTION_KEY, "make-key", f"{DIRECTORY}/encryption.yaml"))
        return [
            File(path, config, mode=0o600),
            File(f"{DIRECTORY}/audit-policy.yaml", render("kubeadm/audit-policy.yaml"), mode=0o600),
            Action("encryption-key", "make the key that encrypts Secrets at rest", "1", (key,)),
            Action(
                "kubeadm-init",
                f"kubeadm init {spec.cluster} (Kubernetes {spec.kubernetes_version})",
                spec.cluster,
                (_reset(), _kubeadm("init", "--config", path, "--skip-token-print")),
                guard=ADMIN_KUBECONFIG,
            ),
        ]

    return Step("control plane", desire)


def join_step(credentials: JoinCredentials | None) -> Step:
    """Return the step that joins a worker; without credentials it can be planned, not applied."""

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        commands: tuple[Command, ...] = ()
        if credentials:
            config = render("kubeadm/join.yaml", node=spec, credentials=credentials)
            inner = _kubeadm("join", "--config", JOIN_FILE).argv
            join = Command(
                ("sh", "-c", _RUN_WITH_FILE, "join", JOIN_FILE, *inner),
                stdin=config,
                secrets=(credentials.token,),
                timeout_seconds=KUBEADM_TIMEOUT_SECONDS,
            )
            commands = (_reset(), join)
        return [
            Action(
                "kubeadm-join",
                f"kubeadm join {spec.cluster} at {spec.endpoint}",
                spec.cluster,
                commands,
                guard=KUBELET_KUBECONFIG,
            )
        ]

    return Step("join", desire)


def _kubeadm(*arguments: str) -> Command:
    argv = (*_ONE_AT_A_TIME, KUBEADM, *arguments, f"--ignore-preflight-errors={IGNORED_PREFLIGHT}")
    return Command(argv, timeout_seconds=KUBEADM_TIMEOUT_SECONDS)


def _reset() -> Command:
    # Before a first init or join there is nothing to reset and this takes a second; after one that was cut off it
    # clears the half. The guard of the Action keeps it away from a cluster that is not ours.
    argv = (*_ONE_AT_A_TIME, KUBEADM, "reset", "--force", "--cleanup-tmp-dir")
    return Command(argv, timeout_seconds=KUBEADM_TIMEOUT_SECONDS)
