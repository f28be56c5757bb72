"""A ticket: all that a host needs to join, in one line of text. It is a secret, and good for 30 minutes."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field

from kubelab_helpers.cluster.credentials import issue_control_plane_credentials, issue_credentials
from kubelab_helpers.cluster.kubeadm import ADMIN_KUBECONFIG, JoinCredentials
from kubelab_helpers.cluster.members import read_configuration, read_members
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.spec import Role

SCHEMA = 2


@dataclass(frozen=True)
class Ticket:
    """The cluster, where it is, and what lets one more node in."""

    cluster: str
    endpoint: str
    kubernetes_version: str
    pod_cidr: str
    service_cidr: str
    control_planes: tuple[str, ...]
    token: str = field(repr=False)
    ca_hash: str
    role: Role = "worker"
    certificate_key: str = field(default="", repr=False)
    encryption: str = field(default="", repr=False)
    nodes: tuple[tuple[str, str], ...] = ()
    """Name and address of each node that the cluster had when the ticket was made."""

    @property
    def credentials(self) -> JoinCredentials:
        """What kubeadm is given."""
        return JoinCredentials(self.token, self.ca_hash, self.certificate_key, self.encryption.encode())


def issue_ticket(control_plane: Runner, role: Role) -> Ticket:
    """Make a ticket on a control plane; BlockedError where there is none."""
    if control_plane.run(Command(("test", "-r", ADMIN_KUBECONFIG))).status != 0:
        raise BlockedError(
            f"{control_plane.name} is no control plane: it has no {ADMIN_KUBECONFIG}",
            next_step="make the ticket on a control plane, as root",
        )
    config, members = read_configuration(control_plane), read_members(control_plane)
    version = str(config["kubernetesVersion"]).removeprefix("v")
    if role == "control-plane":
        issued = issue_control_plane_credentials(control_plane, version)
    else:
        issued = issue_credentials(control_plane)
    return Ticket(
        cluster=config["clusterName"],
        endpoint=config["controlPlaneEndpoint"],
        kubernetes_version=version,
        pod_cidr=config["networking"]["podSubnet"],
        service_cidr=config["networking"]["serviceSubnet"],
        control_planes=tuple(each.address for each in members if each.role == "control-plane"),
        token=issued.token,
        ca_hash=issued.ca_hash,
        role=role,
        certificate_key=issued.certificate_key,
        encryption=issued.encryption.decode(),
        nodes=tuple((each.name, each.address) for each in members),
    )


def require_no_twin(ticket: Ticket, name: str, address: str) -> None:
    """Refuse a host whose name or address another node of the cluster has; a node of both is this host itself."""
    twin = next(((one, at) for one, at in ticket.nodes if at and (one == name) != (at == address)), None)
    if twin is None:
        return
    raise BlockedError(
        f"the cluster {ticket.cluster} has a node {twin[0]} at {twin[1]}, and this host is {name} at {address}",
        next_step="join with another --name (or --address); if that node is gone, `kubectl delete node "
        f"{twin[0]}` on a control plane, and make a new ticket",
    )


def encode_ticket(ticket: Ticket) -> str:
    """Return a ticket as one line of text."""
    data = {"schema": SCHEMA, **asdict(ticket)}
    return base64.b64encode(json.dumps(data, separators=(",", ":")).encode()).decode()


def decode_ticket(text: str) -> Ticket:
    """Return the ticket of a line; InvalidInputError, which shows nothing of it, if it is none."""
    refusal = InvalidInputError(
        "this is no ticket", next_step="make one on a control plane with `kubelab-host ticket`, and hand it on by stdin"
    )
    try:
        data = json.loads(base64.b64decode(text.strip(), validate=True))
        if data.pop("schema") != SCHEMA:
            raise refusal
        nodes = tuple((name, address) for name, address in data["nodes"])
        return Ticket(**{**data, "control_planes": tuple(data["control_planes"]), "nodes": nodes})
    except (ValueError, TypeError, LookupError, AttributeError):
        raise refusal from None
