"""The cluster's own steps: kubeadm init on the first control plane, kubeadm join on a worker. Pure, like every Step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from kubelab_helpers.cluster.patches import node_patches
from kubelab_helpers.hosts.change import BACKUPS, Action, Change
from kubelab_helpers.hosts.command import Command, write_file
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.removal import removal_command, remove_empty_directory
from kubelab_helpers.hosts.solver import kubeadm_api_of, proxy_mode_of
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.steps.system import RESOLV_CONF
from kubelab_helpers.hosts.template import render

DIRECTORY = "/etc/kubernetes/kubelab"
ADMIN_KUBECONFIG = "/etc/kubernetes/admin.conf"
KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf"
PATCHES = f"{DIRECTORY}/patches"
"""Of a further control plane; whatever writes its manifests anew (an upgrade) must be given them too."""
JOIN_FILE = "/run/kubelab/join.yaml"
UPLOAD_FILE = "/run/kubelab/upload.yaml"
KUBEADM = "/usr/local/bin/kubeadm"
KUBEADM_TIMEOUT_SECONDS = 400.0
UPGRADE = "kubeadm-upgrade"
"""The stamp of the version that a node was upgraded to last."""

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

# kubelet makes the last four for volume plugins that nobody has any more.
EMPTIED = (
    "/var/lib/kubelet",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/usr/libexec/kubernetes/kubelet-plugins/volume",
    "/usr/libexec/kubernetes/kubelet-plugins",
    "/usr/libexec/kubernetes",
)

# kubeadm's system verification reads the kernel's build configuration, which kernels without /lib/modules and
# /proc/config.gz do not show; the features it asks for are probed by their effect instead (hosts/steps/system.py).
IGNORED_PREFLIGHT = "SystemVerification"
# On a further control plane kubeadm tries these ports on the first one's address, before it reads the patches.
FOREIGN_ADDRESS_PREFLIGHT = ("Port-10257", "Port-10259")

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
    """What a node needs to join: a bootstrap token (secret, short-lived) and the cluster CA's public key hash.

    A control plane also needs the key of the certificates that were uploaded for it, and the file with the key that
    encrypts Secrets at rest; both are secret, and travel on stdin only.
    """

    token: str = field(repr=False)
    ca_hash: str
    certificate_key: str = field(default="", repr=False)
    encryption: bytes = field(default=b"", repr=False)


def init_step(schedulable: bool, etcd_tag: str, coredns_tag: str) -> Step:
    """Return the step that makes the first control plane.

    `schedulable`: whether pods may run on it, for a cluster without workers. The tags are those of the images.
    """

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        config = render(
            "kubeadm/init.yaml",
            api=kubeadm_api_of(spec.kubernetes_version),
            node=spec,
            schedulable=schedulable,
            sans=[spec.address, spec.endpoint_name, "127.0.0.1", "localhost", *spec.certificate_sans],
            directory=DIRECTORY,
            resolv_conf=RESOLV_CONF,
            cgroup=facts.cgroup,
            proxy_mode=proxy_mode_of(facts, spec.kubernetes_version),
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
                (replace(_kubeadm("init", "--config", path, "--skip-token-print"), once=True),),
                guards=(ADMIN_KUBECONFIG, KUBELET_KUBECONFIG),
                undo_commands=take_down(),
                recover_commands=take_down(keep=False),
            ),
        ]

    return Step("control plane", desire)


def join_step(credentials: JoinCredentials | None, *, schedulable: bool = False) -> Step:
    """Return the step that joins a worker or a further control plane; without credentials it can only be planned.

    `schedulable`: whether pods may run on a control plane, for a cluster without workers.
    """

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        shared = _desire_shared(credentials, spec) if spec.role == "control-plane" else []
        join = Action(
            "kubeadm-join",
            f"kubeadm join {spec.cluster} at {spec.endpoint}",
            spec.cluster,
            (_join(credentials, spec, schedulable),) if credentials else (),
            guards=(KUBELET_KUBECONFIG,),
            undo_commands=take_down(),
            recover_commands=take_down(),
        )
        return [*shared, join]

    return Step("join", desire)


def upgrade_step(part: Literal["apply", "node"], *, patched: bool) -> Step:
    """Return the step that brings a node's control plane and kubelet configuration to the kubeadm that is there.

    `apply`: on the cluster's first node of that version, for the cluster's own objects too. `patched`: whether the node
    joined as a control plane, so that its manifests are the cluster's with its own patches.
    https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-upgrade/
    """

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        what = ("apply", f"v{spec.kubernetes_version}", "--yes") if part == "apply" else ("node",)
        patches = (f"--patches={PATCHES}",) if patched else ()
        return [
            Action(
                UPGRADE,
                f"kubeadm upgrade {part} (Kubernetes {spec.kubernetes_version})",
                spec.kubernetes_version,
                (_kubeadm("upgrade", *what, *patches),),
                one_way=True,
            )
        ]

    return Step("upgrade", desire)


def _join(credentials: JoinCredentials, spec: NodeSpec, schedulable: bool) -> Command:
    config = render(
        "kubeadm/join.yaml",
        api=kubeadm_api_of(spec.kubernetes_version),
        node=spec,
        credentials=credentials,
        schedulable=schedulable,
        patches=PATCHES,
    )
    ignored = FOREIGN_ADDRESS_PREFLIGHT if spec.role == "control-plane" else ()
    inner = _kubeadm("join", "--config", JOIN_FILE, ignored=(IGNORED_PREFLIGHT, *ignored)).argv
    return Command(
        ("sh", "-c", _RUN_WITH_FILE, "join", JOIN_FILE, *inner),
        stdin=config,
        secrets=tuple(filter(None, (credentials.token, credentials.certificate_key))),
        timeout_seconds=KUBEADM_TIMEOUT_SECONDS,
        once=True,
    )


def _desire_shared(credentials: JoinCredentials | None, spec: NodeSpec) -> list[Change]:
    """Return what every control plane has alike, and the patches that make the cluster's configuration its own."""
    encryption = f"{DIRECTORY}/encryption.yaml"
    copy = (write_file(encryption, credentials.encryption, 0o600),) if credentials else ()
    return [
        File(f"{DIRECTORY}/audit-policy.yaml", render("kubeadm/audit-policy.yaml"), mode=0o600),
        *(File(f"{PATCHES}/{name}+json.json", content, mode=0o600) for name, content in node_patches(spec).items()),
        Action(
            "encryption-key",
            "copy the key that encrypts Secrets at rest",
            "1",
            copy,
            undo_commands=(Command(("rm", "-f", encryption)),),
        ),
    ]


def upload_certificates(key: str, kubernetes_version: str) -> Command:
    """Return the command that puts the control planes' certificates into the cluster for two hours, encrypted by `key`.

    `key`: 32 bytes in hexadecimal digits. It is read from stdin, so that no process list shows it.
    """
    api = kubeadm_api_of(kubernetes_version)
    config = render("kubeadm/upload.yaml", api=api, key=key, version=kubernetes_version)
    inner = _kubeadm("init", "phase", "upload-certs", "--upload-certs", "--config", UPLOAD_FILE, ignored=()).argv
    argv = ("sh", "-c", _RUN_WITH_FILE, "upload", UPLOAD_FILE, *inner, "--skip-certificate-key-print")
    return Command(argv, stdin=config, secrets=(key,), timeout_seconds=120)


def _kubeadm(*arguments: str, ignored: tuple[str, ...] = (IGNORED_PREFLIGHT,)) -> Command:
    ignore = (f"--ignore-preflight-errors={','.join(ignored)}",) if ignored else ()
    argv = (*_ONE_AT_A_TIME, KUBEADM, *arguments, *ignore)
    return Command(argv, timeout_seconds=KUBEADM_TIMEOUT_SECONDS)


def take_down(*, keep: bool = True) -> tuple[Command, ...]:
    """Return the commands that remove a node's Kubernetes: its pods, its network, and what kubeadm and kubelet wrote.

    With `keep`, certificates, keys and etcd's data are put into an archive on the host first.

    kubeadm's own reset is not used: it unmounts and removes what others put below /var/lib/kubelet, and leaves rules
    and devices behind (https://github.com/kubernetes/kubeadm/issues/1822, /689, /2923).
    """
    removals = (
        removal_command("pods"),
        *([removal_command("keep", BACKUPS)] if keep else []),
        removal_command("network"),
        removal_command("tree", *CLUSTER_PATHS),
        *(remove_empty_directory(path) for path in EMPTIED),
    )
    return tuple(replace(each, argv=(*_ONE_AT_A_TIME, *each.argv), timeout_seconds=400) for each in removals)
