"""How a host stands in its network."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from kubelab_helpers.hosts.checks.ports import needed_ports
from kubelab_helpers.hosts.findings import Finding, Subject, blocked, note, ok, warning

# RFC 7348 section 5: what VXLAN takes of each packet.
VXLAN_OVERHEAD_BYTES = 50
SMALLEST_MTU = 1280
RESOLVER_LIMIT = 3
"""Kubernetes and glibc both read no more name servers."""
NAME_A_SERVER = "name a real one with --nameserver, or network.nameservers in kubelab.yaml"
LOOP_LINK = "https://coredns.io/plugins/loop/#troubleshooting"


def check_addresses(subject: Subject) -> Iterator[Finding]:
    """An IPv4 address by which other hosts reach this one."""
    facts = subject.facts
    if facts.addresses:
        yield ok(
            "address", "an IPv4 address", ", ".join(f"{address} on {device}" for device, address in facts.addresses)
        )
    elif facts.addresses6:
        seen = ", ".join(address for _, address in facts.addresses6)
        yield blocked("address", "only IPv6 addresses", seen, "give it an IPv4 address: kubelab's network is IPv4")
    else:
        yield blocked("address", "no address but loopback", "", "give it an IPv4 address")


def check_route(subject: Subject) -> Iterator[Finding]:
    """One default route; without it the node's address has to be named."""
    devices = dict.fromkeys(subject.facts.default_devices)
    if len(devices) == 1:
        yield ok("route", "a default route", f"by {next(iter(devices))}")
    elif devices:
        yield warning("route", "several default routes", ", ".join(devices), "name the node's address with --address")
    else:
        yield warning(
            "route",
            "no default route",
            "an air-gapped host?",
            "name the node's address with --address, and bring a bundle",
        )


def check_ranges(subject: Subject) -> Iterator[Finding]:
    """The networks of pods and Services are nowhere in use on the host."""
    routes = [(device, ip_network(text, strict=False)) for device, text in subject.facts.routes]
    own = {"flannel.1", "cni0"}
    clashes = [
        f"{name} {wanted} and {network} on {device}"
        for name, wanted in (("pods", subject.pod_cidr), ("Services", subject.service_cidr))
        for device, network in routes
        if device not in own and not device.startswith("cali") and network.overlaps(ip_network(wanted))
    ]
    if clashes:
        yield blocked(
            "ranges",
            "networks overlap",
            "; ".join(clashes),
            "choose others with --pod-cidr and --service-cidr, or network.podCidr and serviceCidr in kubelab.yaml",
        )
    else:
        yield ok("ranges", "the networks of pods and Services are free", f"{subject.pod_cidr}, {subject.service_cidr}")


def check_mtu(subject: Subject) -> Iterator[Finding]:
    """Room for VXLAN's headers in each packet."""
    device = next((device for device, address in subject.facts.addresses if address == subject.address), None)
    if device is None or device not in subject.facts.mtus:
        return
    mtu = subject.facts.mtus[device]
    seen = f"{mtu} on {device}, {mtu - VXLAN_OVERHEAD_BYTES} for pods"
    if mtu - VXLAN_OVERHEAD_BYTES < SMALLEST_MTU:
        yield warning("mtu", "small packets", seen, "raise the device's MTU: some programs fail below 1280")
    else:
        yield ok("mtu", "room for VXLAN in each packet", seen)


def check_resolver(subject: Subject) -> Iterator[Finding]:
    """A name server that pods can ask, which a loopback one is not (CoreDNS would ask itself)."""
    facts = subject.facts
    if not facts.nameservers:
        yield blocked("resolver", "no name server", "/etc/resolv.conf names none", NAME_A_SERVER)
    elif facts.resolver_loops and not facts.upstream_nameservers:
        yield blocked(
            "resolver",
            "the only name server is on a loopback address",
            ", ".join(facts.nameservers),
            NAME_A_SERVER,
            LOOP_LINK,
        )
    elif facts.resolver_loops:
        yield ok("resolver", "pods ask the name servers behind the local one", ", ".join(facts.upstream_nameservers))
    elif len(facts.nameservers) > RESOLVER_LIMIT:
        yield warning("resolver", "more name servers than are read", ", ".join(facts.nameservers), "keep three")
    else:
        yield ok("resolver", "a name server that pods can ask", ", ".join(facts.nameservers))


def check_firewall(subject: Subject) -> Iterator[Finding]:
    """Firewalld and ufw close what nodes need of each other."""
    active = sorted({"firewalld", "ufw"} & subject.facts.active_units)
    if not active:
        yield ok("firewall", "no firewall service runs")
        return
    wanted = ", ".join(f"{each.port}/{each.protocol}" for each in needed_ports(subject.role) if each.open)
    yield warning(
        "firewall",
        f"{' and '.join(active)} runs",
        "it may close what nodes need of each other",
        f"open {wanted}, and let {subject.pod_cidr} pass",
    )


def check_proxy(subject: Subject) -> Iterator[Finding]:
    """Where a proxy is set, the cluster's own networks go past it."""
    proxies = {key.lower(): value for key, value in subject.facts.proxies.items()}
    if not ({"http_proxy", "https_proxy"} & proxies.keys()):
        return
    passed = proxies.get("no_proxy", "")
    lacking = [
        each for each in (subject.pod_cidr, subject.service_cidr, subject.address) if each and each not in passed
    ]
    if lacking:
        yield warning(
            "proxy",
            "the cluster's own traffic would go to the proxy",
            f"NO_PROXY is {passed or 'empty'}",
            f"add {','.join(lacking)} to NO_PROXY",
        )
    else:
        yield note("proxy", "a proxy is set, and the cluster's networks go past it", passed)
