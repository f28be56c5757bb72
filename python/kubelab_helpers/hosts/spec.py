"""What a host is to become: everything that the Steps need to know, settled before any of them runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kubelab_helpers.hosts.distribution import Distribution

Role = Literal["control-plane", "worker"]


@dataclass(frozen=True)
class LocalProgram:
    """An executable in the artifact cache and its SHA-256."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class LocalImage:
    """An OCI archive in the artifact cache: the reference and the manifest digest inside it."""

    reference: str
    digest: str
    archive: Path


@dataclass(frozen=True)
class RegistryMirror:
    """What a registry's name in image references stands for on the nodes: its servers' URLs, asked in this order.

    `authority`: the PEM certificate that must have signed the servers' own, empty for what the host trusts.
    `authorization`: the header of that name in each request, a secret; empty for none.
    """

    name: str
    urls: tuple[str, ...]
    authority: bytes = field(default=b"", repr=False)
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True)
class NodeSpec:
    """One node of a cluster. Addresses are IPv4 texts; `endpoint` is the control plane's DNS name and port.

    `control_plane_addresses`: of every control plane, this node's own first. `mtu`: of the network between hosts, in
    bytes; None for that of the device with the address.
    """

    cluster: str
    name: str
    role: Role
    address: str
    control_plane_addresses: tuple[str, ...]
    endpoint: str
    kubernetes_version: str
    pod_cidr: str
    service_cidr: str
    image_prefix: str
    mtu: int | None = None
    replace_network: bool = False
    """Whether another pod network's configuration may be set aside."""
    upstream_nameservers: tuple[str, ...] = ()
    certificate_sans: tuple[str, ...] = ()
    mirrors: tuple[RegistryMirror, ...] = ()
    programs: dict[str, LocalProgram] = field(default_factory=dict)
    images: tuple[LocalImage, ...] = ()
    pause_image: str = ""
    distributions: dict[str, Distribution] = field(default_factory=dict)

    @property
    def endpoint_name(self) -> str:
        """The control plane's DNS name."""
        return self.endpoint.rpartition(":")[0]
