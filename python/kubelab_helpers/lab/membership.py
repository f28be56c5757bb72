"""One host of a lab taken in or let go, and how the cluster is, host by host."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from kubelab_helpers.cluster import etcd, members
from kubelab_helpers.cluster.kubeadm import KUBEADM
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.reset import reset_host
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.joining import find_acting
from kubelab_helpers.lab.parallel import for_each
from kubelab_helpers.result import Outcome

SECONDS_A_DAY = 86400


def remove_host(lab: Lab, name: str, *, drain_seconds: float, lost: bool = False) -> list[str]:
    """Drain a host, take it out of the cluster and put it back as it was; return what was done, a line each.

    `lost`: the host is gone for good, so that it is neither drained nor reached. BlockedError when its pods cannot
    move within `drain_seconds`, or when the cluster could not go on without it. The same call goes on where one failed.
    """
    host = lab.spec.host(name)
    acting = _find_acting_beside(lab, host)
    known = {member.name for member in members.read_members(acting)}
    if host.role == "control-plane":
        _require_quorum_without(lab, host, acting)
    done = []
    if name in known and not lost:
        lab.reporter.start(f"drain {name}")
        members.drain(acting, name, drain_seconds)
        lab.reporter.finish(f"drain {name}", Outcome.CHANGED, "its pods run elsewhere")
        done.append(f"drained {name}")
    if host.role == "control-plane" and etcd.remove_etcd_member(acting, lab.spec.address_of(name)):
        done.append(f"etcd member {name}")
    if name in known:
        members.delete_node(acting, name)
        done.append(f"node {name}")
    if not lost:
        changes = reset_host(lab.runner(host), name, lab.reporter)
        done.append(f"{changes} changes on host {name}")
    return done


def read_status(lab: Lab) -> dict[str, Any]:
    """Return how the cluster is: its nodes, etcd's members, and the days until certificates end, as JSON has it."""
    acting = find_acting(lab)
    found = {member.name: member for member in members.read_members(acting)}
    described = {host.name: host for host in lab.spec.hosts}
    nodes = [
        {**dataclasses.asdict(member), "described": name in described, "joined": True} for name, member in found.items()
    ]
    nodes += [
        {"name": name, "role": host.role, "address": lab.spec.address_of(name), "described": True, "joined": False}
        for name, host in described.items()
        if name not in found
    ]
    return {
        "cluster": lab.spec.name,
        "endpoint": lab.spec.endpoint,
        "kubernetes": lab.spec.kubernetes_version,
        "nodes": nodes,
        "etcd": [dataclasses.asdict(member) for member in etcd.read_etcd(acting)],
        "certificates": _read_certificates(lab),
    }


def is_healthy(status: dict[str, Any]) -> bool:
    """Return whether every described host is a Ready node and every etcd member answers."""
    nodes = all(node.get("ready", False) for node in status["nodes"] if node["described"])
    return nodes and all(member["healthy"] for member in status["etcd"])


def _find_acting_beside(lab: Lab, leaving: HostSpec) -> Runner:
    others = [host for host in lab.spec.control_planes if host.name != leaving.name]
    if not others:
        raise BlockedError(
            f"{leaving.name} is the only control plane: without it there is no cluster",
            next_step="give kubelab.yaml three control planes and apply it first; "
            "or, on the host, end the cluster with `kubelab-host reset`",
        )
    return members.find_acting([lab.runner(host) for host in others])


def _require_quorum_without(lab: Lab, host: HostSpec, acting: Runner) -> None:
    """Refuse before anything is drained, not after."""
    address = lab.spec.address_of(host.name)
    voters = [member for member in etcd.read_etcd(acting) if not member.learner]
    if any(member.address == address for member in voters):
        etcd.require_quorum([member for member in voters if member.address != address])


def _read_certificates(lab: Lab) -> list[dict[str, Any]]:
    """Return, for each control plane that can be asked, the certificate that ends first and its days left."""

    def read(host: HostSpec) -> dict[str, Any]:
        try:
            command = Command((KUBEADM, "certs", "check-expiration", "--output=json"), timeout_seconds=60)
            # It says much on stderr, and on stdout one document.
            entries = json.loads(lab.runner(host).check(command).text)["certificates"]
        except KubelabError as error:
            return {"host": host.name, "days": None, "name": "", "problem": error.what.splitlines()[0]}
        first = min((each for each in entries if not each["missing"]), key=lambda each: int(each["residualTime"]))
        return {"host": host.name, "days": int(first["residualTime"]) // SECONDS_A_DAY, "name": first["name"]}

    return for_each(lab.spec.control_planes, read)
