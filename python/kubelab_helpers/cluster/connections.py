"""What a cluster's network must let through and what not, as data: planned and judged here, made elsewhere.

Each connection is made by Kubernetes's own test program, agnhost, inside a pod:
https://github.com/kubernetes/kubernetes/tree/master/test/images/agnhost#connect
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Expected = Literal["connects", "denied", "resolves"]
"""`resolves`: the name is found, and the connection to it is denied all the same."""
POLICIES = ("deny-all", "allow-dns", "allow-namespace")
NAMESPACE, OUTSIDE = "kubelab-check", "kubelab-check-outside"
HOST_PORT = 28080
"""Below the range of NodePorts, above what programs listen on."""
HTTP, UDP = 8080, 8081
FULL_SIZE_BYTES = 9000
"""More than any path's MTU, so that the kernel cuts it into packets that fill the way between two pods."""
TRY_SECONDS = 3
SERVICE_NAME = f"probe.{NAMESPACE}.svc.cluster.local."
"""The last dot keeps the search list out of it."""


@dataclass(frozen=True)
class Connection:
    """One connection to try, from a pod to `host:port`; `size`: bytes of the datagram that an UDP one sends."""

    id: str
    origin: str
    target: str
    expected: Expected = "connects"
    size: int = 0
    namespace: str = NAMESPACE

    @property
    def argv(self) -> tuple[str, ...]:
        """What the pod runs."""
        udp = ("--protocol=udp", f"--udp-data=echo {'x' * self.size}") if self.size else ()
        return ("/agnhost", "connect", self.target, f"--timeout={TRY_SECONDS}s", *udp)


@dataclass(frozen=True)
class Phase:
    """Connections to try while these policies stand in the pods' namespace."""

    policies: tuple[str, ...]
    connections: tuple[Connection, ...]


@dataclass(frozen=True)
class Ground:
    """What stands ready: nodes' addresses by name, pods' addresses by name, the Service's address and NodePort."""

    nodes: Mapping[str, str]
    pods: Mapping[str, str]
    service: str
    node_port: int


@dataclass(frozen=True)
class Verdict:
    """How a connection went: `said` is what agnhost, or kubectl, had to say."""

    connection: Connection
    ok: bool
    said: str = ""


TITLES = {
    "same-node": "pod to pod on one node",
    "across-nodes": "pod to pod across nodes",
    "full-packets": "packets that fill the MTU, across nodes",
    "service": "a Service by its address",
    "dns": "a Service by its name",
    "outside-names": "a name of outside",
    "api-server": "the API server from a pod",
    "hairpin": "a pod to itself through its Service",
    "host-port": "a host port",
    "node-port": "a NodePort on every node",
    "deny-all": "a policy that denies everything",
    "allow-dns": "a policy that lets only names through",
    "allow-namespace": "a policy that lets a namespace's own pods through",
}
_PROXY = "look at kube-proxy there: `kubectl --namespace kube-system logs --selector k8s-app=kube-proxy`"
_ENGINE = "look at Canal: `kubectl --namespace kubelab-network logs --selector app.kubernetes.io/name=network`"
REMEDIES = {
    "same-node": f"a firewall on the host drops what it forwards, or {_ENGINE}",
    "across-nodes": "open UDP 8472 (Flannel's VXLAN) between the hosts, both ways, in firewalls and security groups",
    "full-packets": "small packets pass and full ones do not: give kubelab.yaml `network: {mtu: ...}` what the path "
    "between the hosts carries, and apply it",
    "service": _PROXY,
    "dns": "look at CoreDNS: `kubectl --namespace kube-system logs --selector k8s-app=kube-dns`",
    "outside-names": "give kubelab.yaml `network: {nameservers: [...]}` with servers that the nodes reach",
    "api-server": _PROXY,
    "hairpin": _PROXY,
    "host-port": "something on that host drops it, or holds the port: `kubelab-host check` there names it",
    "node-port": f"a firewall on that host drops it, or {_PROXY}",
    "deny-all": _ENGINE,
    "allow-dns": _ENGINE,
    "allow-namespace": _ENGINE,
}


def plan_phases(ground: Ground, outside_names: Sequence[str] = ()) -> tuple[Phase, ...]:
    """Return every connection to try, in phases: first without policies, then under one more policy each time."""
    return (
        Phase((), (*_plan_ways(ground), *_plan_services(ground, outside_names))),
        *_plan_policies(ground),
    )


def judge(connection: Connection, status: int, error_text: str) -> Verdict:
    """Return whether it went as expected; a kubectl that could not ask proves nothing, neither way."""
    said = " ".join(error_text.split("command terminated")[0].split())
    word = said.partition(":")[0].partition(" ")[0]
    match connection.expected:
        case "connects":
            return Verdict(connection, status == 0, said)
        case "denied":
            return Verdict(connection, status != 0 and word in {"TIMEOUT", "DNS"}, said or "it connects")
        case "resolves":
            return Verdict(connection, status != 0 and word == "TIMEOUT", said or "it connects")


def _plan_ways(ground: Ground) -> list[Connection]:
    """Return the ways between pods: each node speaks to the next one, so that every node sends and receives."""
    probes = [f"probe-{number}" for number in range(len(ground.nodes))]
    found = [Connection("same-node", "probe-0", f"{ground.pods['neighbour']}:{HTTP}")]
    if len(probes) > 1:
        ring = list(zip(probes, [*probes[1:], probes[0]], strict=True))
        found += [Connection("across-nodes", one, f"{ground.pods[other]}:{HTTP}") for one, other in ring]
        found += [
            Connection("full-packets", one, f"{ground.pods[other]}:{UDP}", size=FULL_SIZE_BYTES) for one, other in ring
        ]
    return found


def _plan_services(ground: Ground, outside_names: Sequence[str]) -> list[Connection]:
    last = f"probe-{len(ground.nodes) - 1}"
    addresses = list(ground.nodes.values())
    return [
        Connection("service", last, f"{ground.service}:80"),
        Connection("dns", last, f"{SERVICE_NAME}:80"),
        Connection("hairpin", "probe-0", f"{ground.service}:80"),
        Connection("api-server", last, "kubernetes.default.svc.cluster.local.:443"),
        Connection("host-port", "probe-0", f"{addresses[-1]}:{HOST_PORT}"),
        *(Connection("node-port", "probe-0", f"{address}:{ground.node_port}") for address in addresses),
        *(Connection("outside-names", last, name if ":" in name else f"{name}:443") for name in outside_names),
    ]


def _plan_policies(ground: Ground) -> list[Phase]:
    other = ground.pods["probe-1" if len(ground.nodes) > 1 else "neighbour"]
    name = f"{SERVICE_NAME}:80"
    near, far = f"{ground.pods['neighbour']}:{HTTP}", f"{other}:{HTTP}"
    from_outside = f"{ground.pods['probe-0']}:{HTTP}"
    denied = [Connection("deny-all", "probe-0", target, "denied") for target in dict.fromkeys((near, far, name))]
    let_in = [Connection("allow-namespace", "probe-0", target) for target in dict.fromkeys((near, far))]
    return [
        Phase(POLICIES[:1], tuple(denied)),
        Phase(POLICIES[:2], (Connection("allow-dns", "probe-0", name, "resolves"),)),
        Phase(
            POLICIES,
            (*let_in, Connection("allow-namespace", "outside", from_outside, "denied", namespace=OUTSIDE)),
        ),
    ]
