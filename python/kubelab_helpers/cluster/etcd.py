"""etcd's members, asked over its own JSON API with the control plane's kubectl, which is all that a host needs to have.

https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubelab_helpers.cluster.network import KUBECTL
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import probe_host
from kubelab_helpers.hosts.runner import Runner

PKI = "/etc/kubernetes/pki/etcd"
CLIENT_PORT = 2379


@dataclass(frozen=True)
class EtcdMember:
    """One member. `learner`: it does not vote yet; `name` is empty until it has started."""

    id: str
    name: str
    address: str
    learner: bool
    healthy: bool


def read_etcd(acting: Runner) -> list[EtcdMember]:
    """Return etcd's members as the control plane's own one has them, and whether each answers."""
    found = _call(acting, "member/list", {})["members"]
    return [
        EtcdMember(
            id=member["ID"],
            name=member.get("name", ""),
            address=(address := member["peerURLs"][0].partition("//")[2].rpartition(":")[0]),
            learner=member.get("isLearner", False),
            healthy=_is_healthy(acting, address),
        )
        for member in found
    ]


def remove_etcd_member(acting: Runner, address: str) -> bool:
    """Take the member with this address out of etcd; return whether there was one.

    BlockedError when those that would be left could not decide anything: then nothing is changed.
    """
    members = read_etcd(acting)
    leaving = next((member for member in members if member.address == address), None)
    if leaving is None:
        return False
    require_quorum([member for member in members if member is not leaving and not member.learner])
    _call(acting, "member/remove", {"ID": leaving.id})
    return True


def leave_etcd(host: Runner) -> bool:
    """Take this host's own member out of etcd before the host is reset; return whether others are left.

    With two control planes a member that never comes back is the end of both. Where etcd does not answer there is
    nobody to be told, and the last member has nobody to leave. BlockedError when those that stay could decide nothing.
    """
    if host.run(Command(("test", "-e", f"{PKI}/healthcheck-client.crt"))).status != 0:
        return False
    own = {address for _, address in probe_host(host).addresses}
    try:
        members = read_etcd(host)
    except KubelabError:
        return False
    leaving = [member.address for member in members if member.address in own]
    return len(members) > 1 and any(remove_etcd_member(host, address) for address in leaving)


def require_quorum(staying: Sequence[EtcdMember]) -> None:
    """Refuse with BlockedError when fewer than the majority of the members that stay answer."""
    healthy = sum(member.healthy for member in staying)
    if healthy < len(staying) // 2 + 1:
        silent = ", ".join(member.name or member.address for member in staying if not member.healthy)
        raise BlockedError(
            f"of the {len(staying)} members that etcd would have left, {healthy} answer: it could decide nothing more",
            next_step=f"bring these back first: {silent or 'none is left'}",
        )


def _is_healthy(acting: Runner, address: str) -> bool:
    return acting.run(_etcd(address, "get", "--raw=/health", "--request-timeout=5s")).status == 0


def _call(acting: Runner, method: str, body: dict[str, Any]) -> dict[str, Any]:
    command = _etcd("127.0.0.1", "create", f"--raw=/v3/cluster/{method}", "--filename=-", "--request-timeout=10s")
    answer = acting.run(Command(command.argv, stdin=json.dumps(body).encode(), timeout_seconds=30))
    if answer.status != 0:
        raise KubelabError(f"{acting.name}: etcd refused {method}: {answer.error_text.strip()}")
    said: dict[str, Any] = json.loads(answer.text)
    return said


def _etcd(address: str, *arguments: str) -> Command:
    trust = (f"--certificate-authority={PKI}/ca.crt",)
    client = (f"--client-certificate={PKI}/healthcheck-client.crt", f"--client-key={PKI}/healthcheck-client.key")
    server = f"--server=https://{address}:{CLIENT_PORT}"
    return Command((KUBECTL, "--kubeconfig=/dev/null", server, *trust, *client, *arguments), timeout_seconds=30)
