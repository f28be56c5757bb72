"""Bare hosts with an SSH server and no Python, made as container nodes, and the lab that has them as its hosts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubelab_helpers.cluster import engine
from kubelab_helpers.cluster.nodes import machine_nameservers
from kubelab_helpers.hosts.command import Command, write_file
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.images.client import find_build_client
from kubelab_helpers.images.secrets import build_secrets
from tests.hosts.machines import Machine, bare_hosts, node_image

IMAGE = "localhost/kubelab-tests/ssh:1"
FOLDER = Path(__file__).parent / "images" / "ssh"
SUBNET = "172.30.235.0/24"
HOMES = {"root": "/root", "anna": "/home/anna", "guest": "/home/guest"}
"""Who may log in: root; anna with sudo without a password; guest with sudo that asks for one."""
DEPLOYMENT_IMAGE = "localhost:5000/kubelab/pause:3.10.2"


@dataclass(frozen=True)
class SshHosts:
    """The hosts, and the folder of the operator: key, known_hosts, kubelab.yaml, .kubelab."""

    machines: dict[str, Machine]
    folder: Path

    @property
    def key(self) -> Path:
        """The operator's private key."""
        return self.folder / "id"

    @property
    def known_hosts(self) -> Path:
        """The operator's file of host keys."""
        return self.folder / "known_hosts"

    @property
    def file(self) -> Path:
        """The lab's description."""
        return self.folder / "kubelab.yaml"

    def describe(
        self, name: str, hosts: Sequence[dict[str, object]], network: Mapping[str, object] | None = None
    ) -> None:
        """Write kubelab.yaml; a host without `ssh` is root's. `network`: besides, or in place of, what a host needs."""
        entries = [
            {
                "address": self.machines[str(host["name"])].address,
                **host,
                "ssh": {"identityFile": "id", "knownHosts": "known_hosts", "acceptNewHostKey": True}
                | dict(host.get("ssh") or {"user": "root"}),  # type: ignore[call-overload]  # a mapping of the test's
            }
            for host in hosts
        ]
        # The engine's own resolver is on a loopback address, which pods cannot ask.
        whole = {"nameservers": list(machine_nameservers()), **(network or {})}
        self.file.write_text(yaml.safe_dump({"name": name, "hosts": entries, "network": whole}, sort_keys=False))


@contextmanager
def ssh_hosts(group: str, names: Sequence[str], folder: Path, subnet: str = SUBNET) -> Iterator[SshHosts]:
    """Make hosts that let the operator in, whose key is new; remove them afterwards."""
    _build_image()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id")], check=True)
    public = (folder / "id.pub").read_bytes()
    with bare_hosts(group, subnet, names, IMAGE) as machines:
        for machine in machines:
            for user, home in HOMES.items():
                owner = machine.shell('echo "$(id -u "$1"):$(id -g "$1")"', user).strip()
                machine.runner.check(write_file(f"{home}/.ssh/authorized_keys", public, 0o600, owner))
        yield SshHosts({machine.name: machine for machine in machines}, folder)


def _build_image() -> None:
    client = find_build_client()
    with build_secrets() as secrets:
        command = client.command(
            FOLDER, IMAGE, arguments={"BASE": node_image()}, labels={}, secrets=secrets, timeout_seconds=600
        )
        LocalRunner().check(command)


def stop_container(machine: Machine, how: str) -> None:
    """Let the engine `kill` a host as a power cut does, or `start` it again."""
    docker = engine.client()
    container = docker.containers.get(machine.runner.name)
    container.kill() if how == "kill" else container.start()
    docker.close()


def kubectl(machine: Machine, *arguments: str, stdin: str = "") -> str:
    """Ask the cluster with a control plane's own kubectl."""
    argv = ("/usr/local/bin/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", *arguments)
    return machine.runner.check(Command(argv, stdin=stdin.encode(), timeout_seconds=120)).text
