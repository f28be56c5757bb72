"""kubelab.yaml: one file describes a lab. Read, validated before anything is touched, and frozen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kubelab_helpers import resources
from kubelab_helpers.artifacts.source import SourceName
from kubelab_helpers.cluster.registry_secrets import Protection
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.hosts.spec import Role
from kubelab_helpers.hosts.ssh_access import SshAccess

if TYPE_CHECKING:
    from kubelab_helpers.document import Problem

FILE_NAME = "kubelab.yaml"
MAX_NAME_LENGTH = 63
"""Of one label of a DNS name, RFC 1123; gethostname(2) takes 64, and Kubernetes 63 as a label's value."""


@dataclass(frozen=True)
class HostSpec:
    """One host of the lab: reached over SSH, this machine itself (`local`), or else a container node on this machine.

    `address` is the IPv4 address by which the other nodes reach it, `public_address` another one for the API's
    certificate.
    """

    name: str
    role: Role
    address: str = ""
    public_address: str = ""
    ssh: SshAccess | None = None
    local: bool = False
    container: bool = False
    """Whether the file says `container`; a host that says nothing is one too."""

    @property
    def is_container(self) -> bool:
        """Whether the host is a container node on this machine."""
        return self.ssh is None and not self.local


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
    mtu: int | None = None
    replace_network: bool = False
    endpoint_name: str | None = None
    certificate_sans: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()
    ports: Ports = field(default_factory=Ports)
    registry: Protection = field(default_factory=Protection)
    source: SourceName = "auto"
    bundle: Path | None = None
    ca_bundle: Path | None = None
    pythons: tuple[str, ...] | None = None
    multi_kernel: bool = False
    latex: bool = False
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
        return f"{self.endpoint_name or f'{self.name}.kubelab.internal'}:6443"

    @property
    def has_containers(self) -> bool:
        """Whether any host is a container node on this machine."""
        return any(host.is_container for host in self.hosts)

    def host(self, name: str) -> HostSpec:
        """Return a host by name; InvalidInputError names the nearest."""
        found = next((host for host in self.hosts if host.name == name), None)
        if found is None:
            from kubelab_helpers.document import suggest

            names = [host.name for host in self.hosts]
            raise InvalidInputError(
                f"kubelab.yaml has no host {name}{suggest(name, names)}", next_step=f"choose among {', '.join(names)}"
            )
        return found

    @property
    def registry_address(self) -> str:
        """The registry's address in the container network: the second one, after the gateway."""
        return str(IPv4Network(self.container_subnet)[2])

    def address_of(self, host: str) -> str:
        """Return a host's address; a container node's is the eleventh of its network for the first host, and so on."""
        position = [each.name for each in self.hosts].index(host)
        if self.hosts[position].address:
            return self.hosts[position].address
        return str(IPv4Network(self.container_subnet)[10 + position])


def read_spec(path: Path | None) -> LabSpec:
    """Read a lab's file; without one, the default lab. InvalidInputError names path, line and the nearest known key."""
    if path is None:
        default = Path(FILE_NAME)
        if not default.exists():
            return LabSpec()
        path = default
    # PyYAML and jsonschema take a tenth of a second to import, which `kubelab --help` must not wait for.
    from kubelab_helpers.cluster.contradictions import find_contradictions
    from kubelab_helpers.document import find_problems, read_document

    document = read_document(path)
    schema = json.loads(resources.path("host-setup/kubelab.schema.json").read_text())
    problems = [str(_explain(each, document.values)) for each in find_problems(document.values, schema, [document])]
    if not problems:
        spec = _spec(document.values, path.parent)
        problems = [f"{path}: {problem}" for problem in find_contradictions(spec)]
    if problems:
        raise InvalidInputError("\n".join(problems), next_step=f"mend {path} and run the same command again")
    return spec


def _spec(values: Mapping[str, Any], folder: Path) -> LabSpec:
    default = LabSpec()
    network = values.get("network", {})
    hosts = tuple(_host(host, folder) for host in values.get("hosts", ()))
    bundle, ca_bundle = values.get("bundle"), values.get("trust", {}).get("caBundle")
    return LabSpec(
        name=values.get("name", default.name),
        kubernetes_version=values.get("kubernetes", {}).get("version", default.kubernetes_version),
        hosts=hosts or default.hosts,
        pod_cidr=network.get("podCidr", default.pod_cidr),
        service_cidr=network.get("serviceCidr", default.service_cidr),
        container_subnet=network.get("containerSubnet", default.container_subnet),
        mtu=network.get("mtu"),
        replace_network=network.get("replaceForeign", default.replace_network),
        endpoint_name=values.get("endpoint"),
        certificate_sans=tuple(network.get("certificateSans", ())),
        nameservers=tuple(network.get("nameservers", ())),
        ports=Ports(**values.get("ports", {})),
        registry=Protection(**values.get("registry", {})),
        source=cast("SourceName", values.get("source", default.source)),
        bundle=folder / bundle if bundle else None,
        ca_bundle=folder / ca_bundle if ca_bundle else None,
        pythons=tuple(values["pythons"]) if "pythons" in values else None,
        multi_kernel=values.get("multiKernel", False),
        latex=values.get("latex", False),
        values=values.get("values", {}),
    )


def _host(values: Mapping[str, Any], folder: Path) -> HostSpec:
    address = values.get("address", "")
    return HostSpec(
        name=values["name"],
        role=values["role"],
        address=address,
        public_address=values.get("publicAddress", ""),
        ssh=_ssh(values["ssh"], address, folder) if "ssh" in values else None,
        local=values.get("local", False),
        container="container" in values,
    )


def _ssh(values: Mapping[str, Any], address: str, folder: Path) -> SshAccess:
    def path(key: str) -> Path | None:
        return folder.absolute() / Path(values[key]).expanduser() if key in values else None

    return SshAccess(
        host=values.get("host", address),
        user=values.get("user"),
        port=values.get("port"),
        identity_file=path("identityFile"),
        jump=values.get("jump"),
        known_hosts=path("knownHosts"),
        accept_new_host_key=values.get("acceptNewHostKey", False),
    )


def _explain(problem: Problem, values: Mapping[str, Any]) -> Problem:
    """Say in words what a host's name may be; every other problem says it already."""
    match problem.keys:
        case ("hosts", int(position), "name") if isinstance(name := values["hosts"][position]["name"], str):
            return replace(problem, message=f"{name}: {_fault_of_name(name)}")
    return problem


def find_name_fault(name: str) -> str:
    """Return what is wrong with a host's name, or nothing."""
    return "" if re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) else _fault_of_name(name)


def _fault_of_name(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH:
        return f"has {len(name)} characters; Linux and Kubernetes take {MAX_NAME_LENGTH}"
    if name != name.lower():
        return f"has upper case, which Kubernetes does not take; did you mean {name.lower()}?"
    return "a name has lower-case letters, digits and hyphens, and begins and ends with a letter or a digit (RFC 1123)"
