"""Hosts elsewhere: which hands reach them, what each is told, who began the cluster, and who may leave it."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from kubelab_helpers.cluster import credentials, etcd, kubeadm, members
from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.runner import ContainerRunner, LocalRunner
from kubelab_helpers.hosts.spec import LocalImage, LocalProgram
from kubelab_helpers.hosts.ssh import SshRunner
from kubelab_helpers.lab import cluster, joining, machine, membership
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import for_each
from tests.unit.hosts.support import Answering, recorded_facts

from .support import HOSTS, make_lab, over_ssh


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a lab of three control planes and a worker over SSH."""
    return make_lab(tmp_path, LabSpec(hosts=HOSTS, certificate_sans=("k8s.example.org",)))


def answer_as(lab: Lab, answers: dict[str, str]) -> dict[str, Answering]:
    """Let each host answer every command with a text."""
    runners = {
        name: Answering(lambda _, text=text: text.encode(), name=name)  # type: ignore[misc]  # bound early
        for name, text in answers.items()
    }
    lab._runners.update(runners)
    return runners


def test_each_kind_of_host_has_its_hands(tmp_path: Path) -> None:
    hosts = (over_ssh("a", 1), HostSpec("b", "worker", "192.0.2.2", local=True), HostSpec("c", "worker"))
    lab = make_lab(tmp_path, LabSpec(hosts=hosts))
    assert [type(lab.runner(host)) for host in hosts] == [SshRunner, LocalRunner, ContainerRunner]
    assert lab.runner(hosts[0]) is lab.runner(hosts[0])


def test_a_control_plane_asks_itself_first(lab: Lab) -> None:
    addresses = {host.name: lab.control_plane_addresses(host) for host in lab.spec.hosts}
    assert addresses["c2"] == ("192.0.2.2", "192.0.2.1", "192.0.2.3")
    assert addresses["w1"] == ("192.0.2.1", "192.0.2.2", "192.0.2.3")


def test_the_operators_kubeconfig_leads_to_the_public_address(lab: Lab, tmp_path: Path) -> None:
    assert lab.api_server == "https://198.51.100.1:6443"
    assert make_lab(tmp_path).api_server == "https://127.0.0.1:6443"


@pytest.mark.parametrize(
    ("stamps", "founder"),
    [
        ({}, None),
        ({"c1": "kubeadm-init"}, "c1"),
        ({"c2": "kubeadm-init", "c1": "kubeadm-join"}, "c2"),
        ({"c3": "kubeadm-join"}, "c3"),
    ],
)
def test_a_cluster_that_is_there_is_found(lab: Lab, stamps: dict[str, str], founder: str | None) -> None:
    """Also when the machine on which it began has been set up anew: it must join, not begin another."""
    found = {name: f"stamp\t{stamps[name]}\tkubelab\t\n" if name in stamps else "" for name in ("c1", "c2", "c3")}
    answer_as(lab, found)
    assert getattr(joining.find_founder(lab), "name", None) == founder


def test_another_clusters_stamp_is_not_this_ones(lab: Lab) -> None:
    answer_as(lab, {"c1": "stamp\tkubeadm-init\tanother\t\n", "c2": "", "c3": ""})
    assert joining.find_founder(lab) is None


@pytest.fixture
def joins(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what joining did: hosts forgotten and joined; `planned` says what is missing on each."""
    seen: dict[str, Any] = {"planned": {}, "forgotten": [], "joined": [], "at_once": None}
    monkeypatch.setattr(Lab, "parts", lambda _: {})
    monkeypatch.setattr(joining, "read_stamped", lambda *_: {"c1"})
    monkeypatch.setattr(
        joining, "_plan_joins", lambda _, hosts: {host: seen["planned"].get(host.name, []) for host in hosts}
    )
    monkeypatch.setattr(joining, "find_acting_host", lambda _: HOSTS[0])
    monkeypatch.setattr(joining, "read_items", lambda *_: [])
    monkeypatch.setattr(joining, "_forget", lambda _, host: seen["forgotten"].append(host.name))
    issued = kubeadm.JoinCredentials("token", "hash")
    monkeypatch.setattr(credentials, "issue_credentials", lambda _: issued)
    monkeypatch.setattr(credentials, "issue_control_plane_credentials", lambda *_: issued)

    def converge(_: Lab, hosts: list[HostSpec], __: Any, ___: Any, ____: Any, at_once: int) -> int:
        seen["joined"] += [host.name for host in hosts]
        seen["at_once"] = at_once
        return len(hosts)

    monkeypatch.setattr(joining, "converge_all", converge)
    return seen


def test_only_who_is_not_in_the_cluster_joins_and_control_planes_one_by_one(lab: Lab, joins: dict[str, Any]) -> None:
    joins["planned"] = {"c2": [], "c3": ["action:encryption-key", joining.JOIN]}
    cluster.join_control_planes(lab)
    assert (joins["joined"], joins["forgotten"], joins["at_once"]) == (["c3"], ["c3"], 1)


def test_a_member_that_lacks_only_a_file_is_not_put_out_of_the_cluster(lab: Lab, joins: dict[str, Any]) -> None:
    joins["planned"] = {"c2": ["file:/etc/kubernetes/kubelab/audit-policy.yaml"]}
    cluster.join_control_planes(lab)
    assert (joins["joined"], joins["forgotten"]) == (["c2"], [])


def test_nobody_waits_nothing_is_issued(lab: Lab, joins: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "issue_credentials", lambda _: pytest.fail("a token for nobody"))
    cluster.join_workers(lab)
    assert joins["joined"] == []


def test_the_only_control_plane_cannot_leave(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, LabSpec(hosts=(HOSTS[0], HOSTS[3])))
    with pytest.raises(BlockedError, match="c1 is the only control plane"):
        membership.remove_host(lab, "c1", drain_seconds=1)


@pytest.fixture
def leaving(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what was done to the cluster, in order."""
    done: list[str] = []
    listed = [members.Member(host.name, host.role, True, True, "v1.37.2", host.address) for host in HOSTS]
    acting = Answering(lambda _: b"", name="acting")
    monkeypatch.setattr(members, "find_acting", lambda _: acting)
    monkeypatch.setattr(members, "read_members", lambda _: listed)
    monkeypatch.setattr(members, "drain", lambda _, name, seconds: done.append(f"drain {name} {seconds}"))
    monkeypatch.setattr(members, "delete_node", lambda _, name: done.append(f"delete {name}"))
    voters = [etcd.EtcdMember(str(n), f"c{n}", f"192.0.2.{n}", False, healthy=n != 3) for n in (1, 2, 3)]
    monkeypatch.setattr(etcd, "read_etcd", lambda _: voters)
    monkeypatch.setattr(etcd, "remove_etcd_member", lambda _, address: done.append(f"etcd {address}") or True)  # type: ignore[func-returns-value]
    monkeypatch.setattr(membership, "reset_host", lambda _, name, __: done.append(f"reset {name}") or 7)  # type: ignore[func-returns-value]
    return done


def test_a_worker_is_drained_deleted_and_reset(lab: Lab, leaving: list[str]) -> None:
    said = membership.remove_host(lab, "w1", drain_seconds=20)
    assert leaving == ["drain w1 20", "delete w1", "reset w1"]
    assert said == ["drained w1", "node w1", "7 changes on host w1"]


def test_a_lost_control_plane_is_neither_drained_nor_reached(lab: Lab, leaving: list[str]) -> None:
    membership.remove_host(lab, "c3", drain_seconds=20, lost=True)
    assert leaving == ["etcd 192.0.2.3", "delete c3"]


def test_a_control_plane_that_etcd_needs_is_not_even_drained(lab: Lab, leaving: list[str]) -> None:
    """The third one is silent: without the second, one of two would be left to decide."""
    with pytest.raises(BlockedError, match="of the 2 members that etcd would have left, 1 answer"):
        membership.remove_host(lab, "c2", drain_seconds=20)
    assert leaving == []


def test_results_come_in_the_hosts_order_and_no_more_at_once_than_asked() -> None:
    running, most = [0], [0]

    def work(host: HostSpec) -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.02 if host.name == "c1" else 0.001)
        running[0] -= 1
        return host.name

    assert for_each(HOSTS, work, at_once=2) == ["c1", "c2", "c3", "w1"]
    assert most[0] <= 2


def test_a_failure_stops_the_others_early() -> None:
    stop = Event()

    def work(host: HostSpec) -> bool:
        if host.name == "c1":
            raise KubelabError("broken")
        return stop.wait(10)

    with pytest.raises(KubelabError, match="broken"):
        for_each(HOSTS[:2], work, stop=stop)
    assert stop.is_set()


def test_hosts_elsewhere_need_no_engine_here(lab: Lab) -> None:
    for run in (machine.ensure_engine, machine.check_preconditions, cluster.ensure_nodes):
        assert run(lab)[1] == "no container nodes"


def test_a_run_is_closed_in_every_journal(lab: Lab) -> None:
    line = 'journal\t{"event": "run", "run": "r1", "time": "t", "command": "cluster apply"}\n'
    runners = answer_as(lab, dict.fromkeys(("c1", "c2", "c3", "w1"), line))
    cluster.end_runs(lab)
    for runner in runners.values():
        ended = [
            each for each in runner.asked if isinstance(each, Command) and b'"event": "end"' in (each.stdin or b"")
        ]
        assert len(ended) == 1


def test_the_api_certificate_has_the_private_and_the_public_address(lab: Lab) -> None:
    """From the lab's file to the file that kubeadm reads: both addresses, the endpoint, and what else was named."""
    lab.__dict__["parts"] = dict
    lab.__dict__["program"] = lambda name, _: LocalProgram(Path("/parts") / name, "a" * 64)
    lab.__dict__["image"] = lambda name, _: LocalImage(name, "sha256:" + "b" * 64, Path("/parts"))
    spec = lab.node(lab.control_plane, {})
    file = kubeadm.init_step(False, "3.7.3", "v1.14.6").desire(recorded_facts("control-plane"), spec)[0]
    assert isinstance(file, File)
    (cluster_configuration,) = [
        each for each in yaml.safe_load_all(file.content) if each["kind"] == "ClusterConfiguration"
    ]
    sans = cluster_configuration["apiServer"]["certSANs"]
    assert {"192.0.2.1", "198.51.100.1", lab.spec.endpoint.partition(":")[0], "k8s.example.org"} <= set(sans)
    assert len(sans) == len(set(sans))
