"""Container nodes: hosts with systemd, made by the container engine, that then get the same Steps as any other host."""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.change import stamp_of
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import ContainerRunner
from kubelab_helpers.result import Outcome

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

CLUSTER_LABEL = "io.kubelab.cluster"
OWNER_LABEL = "io.kubelab.owner"
INPUT_LABEL = "io.kubelab.input-hash"
BOOT_TIMEOUT_SECONDS = 60.0

# capabilities(7), by bit, as far as Docker 20.10 knows them. A bounding set that lacks one makes `--privileged` fail,
# so what is there is asked for by name.
CAPABILITIES = (  # noqa: SIM905 — forty quoted words are no easier to read
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
).split()


@dataclass(frozen=True)
class PublishedPort:
    """A node's port made reachable on the machine's loopback address."""

    name: str
    node_port: int
    machine_port: int


@dataclass(frozen=True)
class NodeContainer:
    """One container node as it is to be: everything here is in its input hash."""

    cluster: str
    name: str
    address: str
    image: str
    ports: tuple[PublishedPort, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    """Names and addresses for the node's /etc/hosts; a name may stand several times."""
    mounts: tuple[tuple[str, str], ...] = ()
    """Folders of this machine, and where the node finds them, read-only."""

    @property
    def container_name(self) -> str:
        """The container's name on the machine."""
        return container_name(self.cluster, self.name)

    @property
    def volume_name(self) -> str:
        """The volume of the node's /var: no overlay on overlay under containerd."""
        return f"{self.container_name}-var"

    def input_hash(self, image_id: str) -> str:
        """A hash of everything that made the node; another one means another node."""
        ports = ",".join(f"{port.node_port}:{port.machine_port}" for port in self.ports)
        hosts = ",".join(f"{name}={address}" for name, address in self.hosts)
        mounts = [f"{source}={target}" for source, target in self.mounts]
        return stamp_of("node-1", self.cluster, self.name, self.address, image_id, ports, hosts, *mounts)


@dataclass(frozen=True)
class NodeState:
    """A container node as the engine has it."""

    name: str
    status: str
    owner: str
    input_hash: str


def container_name(cluster: str, host: str) -> str:
    """Return the name on the machine of the container that carries a cluster's host."""
    return f"{cluster}-{host}"


def list_nodes(engine: DockerClient, cluster: str) -> dict[str, NodeState]:
    """Return the cluster's container nodes by container name, running or not."""
    # The registry carries the cluster's label too, but only nodes have an owner.
    labels = [f"{CLUSTER_LABEL}={cluster}", OWNER_LABEL]
    found = engine.containers.list(all=True, filters={"label": labels})
    states = (
        NodeState(each.name or "", each.status, each.labels.get(OWNER_LABEL, ""), each.labels.get(INPUT_LABEL, ""))
        for each in found
    )
    return {state.name: state for state in states}


def ensure_network(engine: DockerClient, cluster: str, subnet: str) -> Outcome:
    """Make the cluster's bridge network, with the MTU of the machine's own way out."""
    from docker.types import IPAMConfig, IPAMPool

    if engine.networks.list(names=[f"^{cluster}$"]):
        return Outcome.UNCHANGED
    gateway = str(next(ip_network(subnet).hosts()))
    engine.networks.create(
        cluster,
        driver="bridge",
        ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)]),
        options={"com.docker.network.driver.mtu": str(machine_mtu())},
        labels={CLUSTER_LABEL: cluster},
    )
    return Outcome.CHANGED


def ensure_node(engine: DockerClient, wanted: NodeContainer, owner: str) -> Outcome:
    """Make, start or leave one container node; one made from other inputs must have been removed before."""
    image_id = _image_id(engine, wanted.image)
    state = list_nodes(engine, wanted.cluster).get(wanted.container_name)
    if state is None:
        _create(engine, wanted, owner, wanted.input_hash(image_id)).start()
    elif state.status != "running":
        engine.containers.get(wanted.container_name).start()
    else:
        return Outcome.UNCHANGED
    wait_until_booted(ContainerRunner(wanted.container_name))
    return Outcome.CHANGED


def differs(engine: DockerClient, wanted: NodeContainer, state: NodeState) -> bool:
    """Return whether an existing node was made from other inputs than these."""
    return state.input_hash != wanted.input_hash(_image_id(engine, wanted.image))


def remove_cluster(engine: DockerClient, cluster: str) -> list[str]:
    """Remove the cluster's nodes, their volumes and its network; return what was removed."""
    label: dict[str, Any] = {"label": f"{CLUSTER_LABEL}={cluster}"}
    removed = []
    for container in engine.containers.list(all=True, filters=label):
        container.remove(force=True, v=True)
        removed.append(f"container {container.name}")
    for volume in engine.volumes.list(filters=label):
        volume.remove(force=True)
        removed.append(f"volume {volume.name}")
    for network in engine.networks.list(filters=label):
        network.remove()
        removed.append(f"network {network.name}")
    return removed


def wait_until_booted(runner: ContainerRunner) -> None:
    """Wait until systemd in the node says that it runs (or runs with a failed unit, which the Steps will name)."""
    deadline = time.monotonic() + BOOT_TIMEOUT_SECONDS
    ask = Command(("systemctl", "is-system-running"), timeout_seconds=10)
    said = ""
    while time.monotonic() < deadline:
        said = runner.run(ask).text.strip()
        if said in {"running", "degraded"}:
            return
        time.sleep(0.2)
    raise KubelabError(
        f"node {runner.name} did not boot within {BOOT_TIMEOUT_SECONDS:g} s (systemd says {said or 'nothing'})",
        repeat=f"docker logs {runner.name}",
        next_step="`kubelab down` removes it, then run the same command again",
    )


def machine_mtu() -> int:
    """Return the MTU, in bytes, of the device that the machine's default route leaves by; 1500 without one."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        device, destination = line.split()[:2]
        if destination == "00000000":
            return int(Path(f"/sys/class/net/{device}/mtu").read_text())
    return 1500


def machine_nameservers() -> tuple[str, ...]:
    """Return the machine's own name servers, without those that only it can reach."""
    for path in (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf")):
        if path.is_file():
            words = (line.split() for line in path.read_text().splitlines())
            return tuple(
                word[1] for word in words if word[:1] == ["nameserver"] and not word[1].startswith(("127.", "::1"))
            )
    return ()


def _create(engine: DockerClient, wanted: NodeContainer, owner: str, input_hash: str) -> Container:
    from docker.types import LogConfig

    labels = {CLUSTER_LABEL: wanted.cluster, OWNER_LABEL: owner, INPUT_LABEL: input_hash}
    engine.volumes.create(wanted.volume_name, labels=labels)
    api = engine.api
    ports: dict[int | str, Any] = {port.node_port: ("127.0.0.1", port.machine_port) for port in wanted.ports}
    host_config = api.create_host_config(
        **_rights(),
        cgroupns="private",
        binds={
            wanted.volume_name: {"bind": "/var", "mode": "rw"},
            **{source: {"bind": target, "mode": "ro"} for source, target in wanted.mounts},
        },
        tmpfs={"/run": "", "/tmp": ""},  # noqa: S108 — the node's own, made empty for it
        port_bindings=ports,
        extra_hosts=[f"{name}:{address}" for name, address in wanted.hosts],
        log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
        # The node comes back with the engine: a restart of the machine is not the end of the hub.
        restart_policy={"Name": "unless-stopped"},
    )
    # What the command line calls systempaths=unconfined: /proc/sys can be written.
    host_config |= {"MaskedPaths": [], "ReadonlyPaths": []}
    endpoint = api.create_endpoint_config(ipv4_address=wanted.address)
    # types-docker 7.2 has this function's argument wrong: it is a mapping of networks to endpoints.
    network_config: Any = api.create_networking_config
    created = api.create_container(
        wanted.image,
        name=wanted.container_name,
        hostname=wanted.name,
        labels=labels,
        ports=list(ports),
        tty=True,
        environment={"container": "docker"},
        host_config=host_config,
        networking_config=network_config({wanted.cluster: endpoint}),
    )
    return engine.containers.get(created["Id"])


def _rights() -> dict[str, Any]:
    """Return what lets systemd and kubelet work inside: privileged where it can be had, else every right by name."""
    bounding = _bounding_set()
    held = [name for bit, name in enumerate(CAPABILITIES) if bounding >> bit & 1]
    if len(held) == len(CAPABILITIES):
        return {"privileged": True}
    devices = ["/dev/kmsg:/dev/kmsg:rwm"] if Path("/dev/kmsg").exists() else []
    return {
        "cap_add": held,
        "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
        # Privileged pods ask for every device; what the node may not, its pods may not either.
        "device_cgroup_rules": ["a *:* rwm"],
        "devices": devices,
    }


def _bounding_set() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    raise KubelabError("/proc/self/status has no capability sets")


def _image_id(engine: DockerClient, image: str) -> str:
    from docker.errors import ImageNotFound

    try:
        return str(engine.images.get(image).id)
    except ImageNotFound as error:
        raise BlockedError(
            f"there is no image {image}", next_step="build it with `kubelab image build node`"
        ) from error
