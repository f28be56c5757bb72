"""kubelab.yaml: one file describes a lab. Read, validated before anything is touched, and frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any, cast

from kubelab_helpers import resources
from kubelab_helpers.artifacts.source import SourceName
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.hosts.spec import Role

FILE_NAME = "kubelab.yaml"


@dataclass(frozen=True)
class HostSpec:
    """One host of the lab; on this machine, as a container node."""

    name: str
    role: Role


@dataclass(frozen=True)
class Ports:
    """Ports on the machine's loopback address."""

    http: int = 30080
    https: int = 30443
    api: int = 6443
    registry: int = 5000


@dataclass(frozen=True)
class LabSpec:
    """A lab as its file says, with the defaults put in."""

    name: str = "kubelab"
    kubernetes_version: str = "1.37.2"
    hosts: tuple[HostSpec, ...] = (HostSpec("control-1", "control-plane"), HostSpec("worker-1", "worker"))
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/12"
    container_subnet: str = "172.30.250.0/24"
    nameservers: tuple[str, ...] = ()
    ports: Ports = field(default_factory=Ports)
    source: SourceName = "auto"
    bundle: Path | None = None
    ca_bundle: Path | None = None
    pythons: tuple[str, ...] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def control_planes(self) -> tuple[HostSpec, ...]:
        """The hosts that run the control plane."""
        return tuple(host for host in self.hosts if host.role == "control-plane")

    @property
    def workers(self) -> tuple[HostSpec, ...]:
        """The hosts that only run pods."""
        return tuple(host for host in self.hosts if host.role == "worker")

    @property
    def endpoint(self) -> str:
        """The control plane's DNS name and port, the same on every node and in every kubeconfig."""
        return f"{self.name}.kubelab.internal:6443"

    @property
    def registry_address(self) -> str:
        """The registry's address in the container network: the second one, after the gateway."""
        return str(IPv4Network(self.container_subnet)[2])

    def address_of(self, host: str) -> str:
        """Return a container node's address: the eleventh of the network for the first host, and so on."""
        position = [each.name for each in self.hosts].index(host)
        return str(IPv4Network(self.container_subnet)[10 + position])


def read_spec(path: Path | None) -> LabSpec:
    """Read a lab's file; without one, the default lab. InvalidInputError names path, line and the nearest known key."""
    if path is None:
        default = Path(FILE_NAME)
        if not default.exists():
            return LabSpec()
        path = default
    # PyYAML and jsonschema take a tenth of a second to import, which `kubelab --help` must not wait for.
    from kubelab_helpers.document import find_problems, read_document

    document = read_document(path)
    schema = json.loads(resources.path("host-setup/kubelab.schema.json").read_text())
    problems = [str(problem) for problem in find_problems(document.values, schema, [document])]
    if not problems:
        spec = _spec(document.values, path.parent)
        problems = [f"{path}: {problem}" for problem in find_contradictions(spec)]
    if problems:
        raise InvalidInputError("\n".join(problems), next_step=f"mend {path} and run the same command again")
    return spec


def find_contradictions(spec: LabSpec) -> list[str]:
    """Return what a schema cannot see: names that stand twice, networks that overlap, no control plane."""
    problems = []
    names = [host.name for host in spec.hosts]
    problems += [f"hosts: {name} stands twice" for name in sorted(set(names)) if names.count(name) > 1]
    if len(spec.control_planes) != 1:
        problems.append(f"hosts: one control plane is wanted, not {len(spec.control_planes)}")
    networks: dict[str, IPv4Network] = {}
    for key, text in (
        ("podCidr", spec.pod_cidr),
        ("serviceCidr", spec.service_cidr),
        ("containerSubnet", spec.container_subnet),
    ):
        try:
            networks[key] = IPv4Network(text)
        except ValueError as error:
            problems.append(f"network.{key}: {error}")
    keys = sorted(networks)
    problems += [
        f"network.{first} {networks[first]} overlaps network.{second} {networks[second]}"
        for index, first in enumerate(keys)
        for second in keys[index + 1 :]
        if networks[first].overlaps(networks[second])
    ]
    if "containerSubnet" in networks and networks["containerSubnet"].num_addresses < 16 + len(spec.hosts):
        problems.append(f"network.containerSubnet: {spec.container_subnet} is too small for {len(spec.hosts)} hosts")
    problems += [f"network.nameservers: {text} {fault}" for text in spec.nameservers if (fault := _fault_of(text))]
    ports = list(vars(spec.ports).values())
    problems += [f"ports: {port} stands twice" for port in sorted(set(ports)) if ports.count(port) > 1]
    return problems


def _fault_of(nameserver: str) -> str:
    """Return what is wrong with a name server for pods, or nothing."""
    try:
        return "is this machine's alone: pods do not reach it" if ip_address(nameserver).is_loopback else ""
    except ValueError:
        return "is no address"


def _spec(values: Mapping[str, Any], folder: Path) -> LabSpec:
    default = LabSpec()
    network = values.get("network", {})
    hosts = tuple(HostSpec(host["name"], host["role"]) for host in values.get("hosts", ()))
    bundle, ca_bundle = values.get("bundle"), values.get("trust", {}).get("caBundle")
    return LabSpec(
        name=values.get("name", default.name),
        kubernetes_version=values.get("kubernetes", {}).get("version", default.kubernetes_version),
        hosts=hosts or default.hosts,
        pod_cidr=network.get("podCidr", default.pod_cidr),
        service_cidr=network.get("serviceCidr", default.service_cidr),
        container_subnet=network.get("containerSubnet", default.container_subnet),
        nameservers=tuple(network.get("nameservers", ())),
        ports=Ports(**values.get("ports", {})),
        source=cast("SourceName", values.get("source", default.source)),
        bundle=folder / bundle if bundle else None,
        ca_bundle=folder / ca_bundle if ca_bundle else None,
        pythons=tuple(values["pythons"]) if "pythons" in values else None,
        values=values.get("values", {}),
    )
