"""What a schema cannot see in kubelab.yaml: entries that cannot all be so. Told before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubelab_helpers.cluster.spec import HostSpec, LabSpec


def find_contradictions(spec: LabSpec) -> list[str]:
    """Return everything in a lab that cannot be so, a line each."""
    return [
        *_twice("hosts", [host.name for host in spec.hosts]),
        *_twice("hosts: address", [host.address for host in spec.hosts if host.address]),
        *(f"hosts: {host.name}: {fault}" for host in spec.hosts for fault in _faults_of(host)),
        *_mixed(spec.hosts),
        *_protected(spec),
        *_control_planes(len(spec.control_planes)),
        *_networks(spec),
        *(f"network.nameservers: {text} {fault}" for text in spec.nameservers if (fault := _fault_of_server(text))),
        *_twice("ports", [str(port) for port in vars(spec.ports).values()]),
    ]


def _twice(what: str, names: Sequence[str]) -> Iterator[str]:
    return (f"{what}: {name} stands twice" for name in sorted(set(names)) if names.count(name) > 1)


def _faults_of(host: HostSpec) -> Iterator[str]:
    kinds = [name for name, given in (("ssh", host.ssh), ("local", host.local), ("container", host.container)) if given]
    if len(kinds) > 1:
        yield f"{' and '.join(kinds)} exclude each other"
    if host.is_container and host.address:
        yield "a container node gets its address from network.containerSubnet; a host elsewhere has `ssh`"
    if not host.is_container and not host.address:
        yield "address is missing: the IPv4 address by which the other nodes reach it"
    for key, text in (("address", host.address), ("publicAddress", host.public_address)):
        if text and (fault := _fault_of_address(text)):
            yield f"{key} {text} {fault}"


def _fault_of_address(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        return "is no address: an IPv4 address is wanted, not a name"
    if address.version == 6:
        return "is IPv6, and kubelab makes IPv4 clusters: give the host an IPv4 address and name that one"
    unfit = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
    return "is none by which another host can be reached" if unfit else ""


def _mixed(hosts: Sequence[HostSpec]) -> Iterator[str]:
    containers = [host.name for host in hosts if host.is_container]
    if containers and len(containers) < len(hosts):
        yield (
            f"hosts: {', '.join(containers)}: a container node is reached from this machine alone, so that all hosts "
            "are container nodes or none is; give it `ssh` or `local`"
        )


def _protected(spec: LabSpec) -> Iterator[str]:
    asked = [name for name, wanted in vars(spec.registry).items() if wanted]
    if asked and not spec.has_containers:
        yield (
            f"registry: {' and '.join(asked)}: only this machine's registry has that, from which container nodes pull; "
            "hosts elsewhere pull from their control planes"
        )


def _control_planes(count: int) -> Iterator[str]:
    if count == 0:
        yield "hosts: a control plane is wanted, and none has that role"
    elif count % 2 == 0:
        yield (
            f"hosts: {count} control planes: etcd needs more than half of them, so that {count} bear no more failures "
            f"than {count - 1}, and there is one more that can fail; have {count - 1} or {count + 1}"
        )


def _networks(spec: LabSpec) -> Iterator[str]:
    texts = {"podCidr": spec.pod_cidr, "serviceCidr": spec.service_cidr}
    if spec.has_containers:
        texts["containerSubnet"] = spec.container_subnet
    networks: dict[str, IPv4Network] = {}
    for key, text in texts.items():
        try:
            networks[key] = IPv4Network(text)
        except ValueError as error:
            yield f"network.{key}: {error}"
    keys = sorted(networks)
    for index, first in enumerate(keys):
        for second in keys[index + 1 :]:
            if networks[first].overlaps(networks[second]):
                yield f"network.{first} {networks[first]} overlaps network.{second} {networks[second]}"
    for host in spec.hosts:
        if host.address and not _fault_of_address(host.address):
            inside = (key for key in keys if ip_address(host.address) in networks[key])
            yield from (f"hosts: {host.name}: address {host.address} lies in network.{key}" for key in inside)
    subnet = networks.get("containerSubnet")
    if subnet and subnet.num_addresses < 16 + len(spec.hosts):
        yield f"network.containerSubnet: {spec.container_subnet} is too small for {len(spec.hosts)} hosts"


def _fault_of_server(nameserver: str) -> str:
    """Return what is wrong with a name server for pods, or nothing."""
    try:
        return "is this machine's alone: pods do not reach it" if ip_address(nameserver).is_loopback else ""
    except ValueError:
        return "is no address"
