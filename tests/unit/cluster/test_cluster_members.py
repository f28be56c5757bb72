# ruff: noqa: D102  the runner has the methods of hosts.runner.Runner
"""The cluster's nodes and etcd's members, as a control plane's kubectl tells them; and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from kubelab_helpers.cluster import etcd, members
from kubelab_helpers.cluster.health import ApiError
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.command import Command, CommandError, Completed

NODE = {
    "metadata": {"name": "one", "labels": {"node-role.kubernetes.io/control-plane": ""}},
    "spec": {"unschedulable": True},
    "status": {
        "nodeInfo": {"kubeletVersion": "v1.37.2"},
        "addresses": [{"type": "Hostname", "address": "one"}, {"type": "InternalIP", "address": "192.0.2.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


@dataclass
class Cluster:
    """Answers kubectl as a cluster would: etcd's members, those of them that are silent, nodes, a drain's end."""

    etcd: list[dict[str, Any]] = field(default_factory=list)
    silent: tuple[str, ...] = ()
    nodes: list[dict[str, Any]] = field(default_factory=list)
    pods: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = ""
    name: str = "control"
    asked: list[Command] = field(default_factory=list)

    def run(self, command: Command) -> Completed:
        self.asked.append(command)
        line = str(command)
        if self.refuses and self.refuses in line:
            return Completed(command, 1, b"", b"error: Cannot evict pod: would violate the pod's disruption budget\n")
        if "--raw=/health" in line:
            return Completed(command, int(any(f"//{each}:" in line for each in self.silent)), b"", b"")
        if "member/" in line:
            return Completed(command, 0, json.dumps({"members": self.etcd}).encode(), b"")
        items = self.pods if "pods" in command.argv else self.nodes
        return Completed(command, 0, json.dumps({"items": items}).encode(), b"")

    def check(self, command: Command) -> Completed:
        done = self.run(command)
        if done.status:
            raise CommandError(done, self.name)
        return done


def voters(*addresses: str, learner: str = "") -> list[dict[str, Any]]:
    return [
        {
            "ID": str(n),
            "name": f"c{n}",
            "peerURLs": [f"https://{each}:2380"],
            **({"isLearner": True} if each == learner else {}),
        }
        for n, each in enumerate(addresses)
    ]


def removed(cluster: Cluster) -> list[dict[str, Any]]:
    return [json.loads(each.stdin or b"") for each in cluster.asked if "member/remove" in str(each)]


def test_a_node_is_read() -> None:
    assert members.read_members(Cluster(nodes=[NODE])) == [
        members.Member("one", "control-plane", True, False, "v1.37.2", "192.0.2.1")
    ]


def test_etcds_members_are_read_and_each_is_asked() -> None:
    found = etcd.read_etcd(Cluster(voters("192.0.2.1", "192.0.2.2", learner="192.0.2.2"), silent=("192.0.2.1",)))
    assert found == [
        etcd.EtcdMember("0", "c0", "192.0.2.1", False, False),
        etcd.EtcdMember("1", "c1", "192.0.2.2", True, True),
    ]


@pytest.mark.parametrize(
    ("addresses", "silent"),
    [(("192.0.2.1", "192.0.2.2"), ()), (("192.0.2.1", "192.0.2.2", "192.0.2.3"), ("192.0.2.1",))],
)
def test_a_member_is_removed_where_the_others_can_go_on(addresses: tuple[str, ...], silent: tuple[str, ...]) -> None:
    cluster = Cluster(voters(*addresses), silent)
    assert etcd.remove_etcd_member(cluster, "192.0.2.1")
    assert removed(cluster) == [{"ID": "0"}]


@pytest.mark.parametrize(
    ("addresses", "silent"),
    [
        (("192.0.2.1",), ()),
        (("192.0.2.1", "192.0.2.2"), ("192.0.2.2",)),
        (("192.0.2.1", "192.0.2.2", "192.0.2.3"), ("192.0.2.3",)),
    ],
)
def test_a_member_whose_going_would_stop_etcd_is_kept(addresses: tuple[str, ...], silent: tuple[str, ...]) -> None:
    cluster = Cluster(voters(*addresses), silent)
    with pytest.raises(BlockedError, match="it could decide nothing more"):
        etcd.remove_etcd_member(cluster, "192.0.2.1")
    assert removed(cluster) == []


def test_a_member_that_is_not_there_is_no_error() -> None:
    cluster = Cluster(voters("192.0.2.1"))
    assert not etcd.remove_etcd_member(cluster, "192.0.2.9")
    assert removed(cluster) == []


def test_the_first_control_plane_that_answers_acts() -> None:
    down, up = Cluster(refuses="readyz", name="down"), Cluster(name="up")
    assert members.find_acting([down, up]) is up
    with pytest.raises(BlockedError, match="no control plane answers\ndown: "):
        members.find_acting([down])


def test_a_drain_that_is_refused_says_why_and_how_to_go_back() -> None:
    with pytest.raises(BlockedError, match="disruption budget") as caught:
        members.drain(Cluster(refuses="drain"), "one", 5)
    assert "kubectl uncordon one" in caught.value.next_step


@pytest.mark.parametrize(("nodes", "moved"), [(("a", "a"), True), (("a", "b"), False), (("a",), False)])
def test_dns_is_spread_only_when_all_of_it_is_on_one_node(nodes: tuple[str, ...], moved: bool) -> None:
    cluster = Cluster(pods=[{"spec": {"nodeName": node}} for node in nodes])
    assert members.spread_dns(cluster) is moved
    assert any("restart" in each.argv for each in cluster.asked) is moved


def pod(name: str, node: str, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "hub", "name": name, **more.get("metadata", {})},
        "spec": {"nodeName": node, "containers": [{"image": more.get("image", "x")}]},
        "status": {"phase": more.get("phase", "Running")},
    }


def test_pods_that_nothing_starts_anew_are_found() -> None:
    """A ReplicaSet's, a static one (owned by its node), a finished one and one elsewhere are none."""
    owned = {"ownerReferences": [{"kind": "Node"}]}
    pods = [
        pod("server", "one"),
        pod("static", "one", metadata=owned),
        pod("job", "one", phase="Succeeded"),
        pod("elsewhere", "two"),
    ]
    assert members.find_bare_pods(Cluster(pods=pods), {"one"}) == ["hub/server on one"]


def test_an_api_servers_version_is_its_image_s() -> None:
    pods = [pod("kube-apiserver-one", "one", image="localhost:5000/kubelab/kube-apiserver:v1.36.3")]
    assert members.read_api_servers(Cluster(pods=pods)) == {"one": "1.36.3"}


def test_a_node_held_for_an_upgrade_is_told_from_one_that_its_owner_cordoned() -> None:
    held = {**NODE, "metadata": {**NODE["metadata"], "annotations": {members.HELD: "true"}}}  # type: ignore[dict-item]
    assert [member.held for member in members.read_members(Cluster(nodes=[NODE, held]))] == [False, True]


def test_a_cordon_that_the_api_refuses_is_tried_again() -> None:
    """ApiError is what the waiting loop takes for `ask again`."""
    cluster = Cluster(refuses="uncordon")
    with pytest.raises(ApiError, match="the API server refuses"):
        members.release(cluster, "one")


@pytest.mark.parametrize("force", [False, True])
def test_only_a_forced_drain_ends_pods_for_good(force: bool) -> None:
    cluster = Cluster()
    members.drain(cluster, "one", 5, force=force)
    assert ("--force" in cluster.asked[-1].argv) is force
