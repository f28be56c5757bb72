"""A registry on hosts that are not container nodes: each control plane has one with the same images.

Two processes on one store: nodes read from the host's address, where nobody can write; `ctr` writes over loopback.
https://distribution.github.io/distribution/about/configuration/
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml

from kubelab_helpers.cluster.registry_secrets import CERTIFICATE, HTPASSWD, KEY, RegistrySecrets
from kubelab_helpers.hosts.change import Change, stamp_of
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import Directory, File, Program
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import LocalProgram
from kubelab_helpers.hosts.state import HostState
from kubelab_helpers.hosts.template import render

STEP = "registry"
PORT = 5000
WRITE_PORT = 5001
STATE_DIRECTORY = "kubelab-registry"
DIRECTORY = f"/var/lib/{STATE_DIRECTORY}"
# https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#DynamicUser= : DIRECTORY links to there.
PRIVATE = "/var/lib/private"
PROGRAM = "/usr/local/bin/registry"
CONFIGS = "/etc/kubelab/registry"
NAMESPACE = "kubelab"
"""containerd's, for images on their way: kubelet, which would collect what no pod uses, does not see it."""
TRANSFER_SECONDS = 1800


def configure(
    root: str, address: str, *, read_only: bool = False, secrets: RegistrySecrets | None = None, folder: str = ""
) -> dict[str, Any]:
    """Return the configuration of a registry that keeps what it has in `root` and listens at `address`.

    `folder`: where the registry finds the files of `secrets`. Distribution would make an htpasswd file that is not
    there, and log its password.
    """
    storage: dict[str, Any] = {"filesystem": {"rootdirectory": root}, "delete": {"enabled": True}}
    if read_only:
        storage["maintenance"] = {"readonly": {"enabled": True}}
    http: dict[str, Any] = {"addr": address, "headers": {"X-Content-Type-Options": ["nosniff"]}}
    if secrets and secrets.server:
        http["tls"] = {"certificate": f"{folder}/{CERTIFICATE}", "key": f"{folder}/{KEY}", "minimumtls": "tls1.2"}
    found = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": http,
    }
    if secrets and secrets.login:
        found["auth"] = {"htpasswd": {"realm": "kubelab", "path": f"{folder}/{HTPASSWD}"}}
    return found


def desire_registry(program: LocalProgram, address: str) -> list[Change]:
    """Return what a control plane must have so that the nodes can pull from `address`."""
    written = _desire_unit("kubelab-registry-write", "images are written here", program, "127.0.0.1", WRITE_PORT)
    served = _desire_unit("kubelab-registry", "the hub's images", program, address, PORT, read_only=True)
    return [Directory(PRIVATE, mode=0o700), Program(PROGRAM, program.path, program.sha256), *written, *served]


@dataclass(frozen=True)
class StoredImage(Change):
    """An image in the host's registry, from an OCI archive that carries it under `reference`."""

    reference: str
    digest: str
    archive: Path

    @property
    def id(self) -> str:
        return f"registry-image:{self.reference}"

    @property
    def summary(self) -> str:
        return f"store image {self.reference}"

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"file:{self._revision}",)

    def satisfied_by(self, state: HostState) -> bool:
        return self._revision in state.files

    def operations(self) -> tuple[Command, ...]:
        ctr = ("ctr", f"--namespace={NAMESPACE}", "images")
        remote = f"localhost:{WRITE_PORT}/{self._path}"
        return (
            Command((*ctr, "import", "--no-unpack", "-"), stdin_path=self.archive, timeout_seconds=TRANSFER_SECONDS),
            Command((*ctr, "push", "--plain-http", remote, self.reference), timeout_seconds=TRANSFER_SECONDS),
            Command((*ctr, "remove", "--sync", self.reference)),
        )

    @property
    def _path(self) -> str:
        return self.reference.partition("/")[2]

    @property
    def _revision(self) -> str:
        """The file that distribution writes once it has the manifest and all it names."""
        repository = self._path.rpartition(":")[0]
        revision = self.digest.replace(":", "/")
        return f"{DIRECTORY}/docker/registry/v2/repositories/{repository}/_manifests/revisions/{revision}/link"


def _desire_unit(
    name: str, description: str, program: LocalProgram, address: str, port: int, *, read_only: bool = False
) -> list[Change]:
    settings = yaml.safe_dump(configure(DIRECTORY, f"{address}:{port}", read_only=read_only)).encode()
    config = File(f"{CONFIGS}/{name}.yml", settings)
    service = render(
        "registry/registry.service",
        description=description,
        socket=f"{bytes(reversed(IPv4Address(address).packed)).hex().upper()}:{port:04X}",
        state_directory=STATE_DIRECTORY,
        program=PROGRAM,
        config=config.path,
    )
    unit = File(f"/etc/systemd/system/{name}.service", service)
    stamp = stamp_of(settings, service, program.sha256)
    return [config, unit, Unit(f"{name}.service", stamp, data=(DIRECTORY, f"{PRIVATE}/{STATE_DIRECTORY}"))]
