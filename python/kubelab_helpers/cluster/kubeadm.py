"""The cluster's own steps: kubeadm init on the first control plane, kubeadm join on a worker. Pure, like every Step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kubelab_helpers.hosts.change import Action, Change
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.removal import removal_command, remove_empty_directory
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.steps.system import RESOLV_CONF
from kubelab_helpers.hosts.template import render

DIRECTORY = "/etc/kubernetes/kubelab"
ADMIN_KUBECONFIG = "/etc/kubernetes/admin.conf"
KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf"
JOIN_FILE = "/run/kubelab/join.yaml"
KUBEADM = "/usr/local/bin/kubeadm"
KUBEADM_TIMEOUT_SECONDS = 400.0

KUBELET_NAMES = (  # noqa: SIM905 — twenty quoted words are no easier to read
    "config.yaml kubeadm-flags.env instance-config.yaml pki pods plugins plugins_registry pod-resources device-plugins "
    "checkpoints cpu_manager_state memory_manager_state allocated_pods_state actuated_pods_state dra_manager_state "
    "image_manager pods-api"
).split()
# What kubeadm, kubelet, etcd and the network plugins write. /var/lib/kubelet itself may hold others' mounts.
CLUSTER_PATHS = (
    *(f"/etc/kubernetes/{name}.conf" for name in ("admin", "super-admin", "kubelet", "bootstrap-kubelet")),
    *(f"/etc/kubernetes/{name}.conf" for name in ("controller-manager", "scheduler")),
    *(f"/etc/kubernetes/{name}" for name in ("manifests", "pki", "tmp")),
    *(f"/var/lib/kubelet/{name}" for name in KUBELET_NAMES),
    "/var/lib/etcd",
    "/var/lib/cni",
    "/var/lib/calico",
    "/run/calico",
    "/run/flannel",
    "/var/log/pods",
    "/var/log/containers",
    "/var/log/kubernetes",
    "/var/log/calico-cni.log",
)

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
        key_path = f"{DIRECTORY}/encryption.yaml"
        key = Command(("sh", "-c", _MAKE_ENCRYPTION_KEY, "make-key", key_path))
        forget = Command(("rm", "-f", key_path))
        return [
            File(path, config, mode=0o600),
            File(f"{DIRECTORY}/audit-policy.yaml", render("kubeadm/audit-policy.yaml"), mode=0o600),
            Action(
                "encryption-key", "make the key that encrypts Secrets at rest", "1", (key,), undo_commands=(forget,)
            ),
            Action(
                "kubeadm-init",
                f"kubeadm init {spec.cluster} (Kubernetes {spec.kubernetes_version})",
                spec.cluster,
                (_kubeadm("init", "--config", path, "--skip-token-print"),),
                guards=(ADMIN_KUBECONFIG, KUBELET_KUBECONFIG),
                undo_commands=take_down(),
                recover_commands=take_down(),
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
            commands = (join,)
        return [
            Action(
                "kubeadm-join",
                f"kubeadm join {spec.cluster} at {spec.endpoint}",
                spec.cluster,
                commands,
                guards=(KUBELET_KUBECONFIG,),
                undo_commands=take_down(),
                recover_commands=take_down(),
            )
        ]

    return Step("join", desire)


def _kubeadm(*arguments: str) -> Command:
    argv = (*_ONE_AT_A_TIME, KUBEADM, *arguments, f"--ignore-preflight-errors={IGNORED_PREFLIGHT}")
    return Command(argv, timeout_seconds=KUBEADM_TIMEOUT_SECONDS)


def take_down() -> tuple[Command, ...]:
    """Return the commands that remove a node's Kubernetes: its pods, its network, and what kubeadm and kubelet wrote.

    kubeadm's own reset is not used: it unmounts and removes what others put below /var/lib/kubelet, and leaves rules
    and devices behind (https://github.com/kubernetes/kubeadm/issues/1822, /689, /2923).
    """
    removals = (
        removal_command("pods"),
        removal_command("network"),
        removal_command("tree", *CLUSTER_PATHS),
        remove_empty_directory("/var/lib/kubelet"),
    )
    return tuple(replace(each, argv=(*_ONE_AT_A_TIME, *each.argv), timeout_seconds=400) for each in removals)
