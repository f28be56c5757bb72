"""Hosts elsewhere are judged all together before one of them is touched; what our own work left stops nobody."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers.cluster.spec import LabSpec
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import parse_facts
from kubelab_helpers.lab import cluster, joining
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.fitness import require_fit
from kubelab_helpers.lab.joining import JOIN
from kubelab_helpers.lab.stages import APPLY_STAGES, run_stages
from tests.unit.hosts.support import RECORDED, Answering

from .support import HOSTS, make_lab

Lines = Mapping[str, tuple[str, ...]]
NODES_PORTS: Lines = {"listening": ("tcp * 10250 kubelet", "tcp * 10256 kube-proxy")}
KUBELET_CONF = ("br_netfilter", "kubernetes_node")
CILIUM: Lines = {"cni_file": ("/etc/cni/net.d/05-cilium.conflist",)}
LOOP: Lines = {"nameserver": ("127.0.0.53",)}


@dataclass
class Machine:
    """What a host answers: its facts (lines of the probe by key), stamps and journal, and the cluster's nodes."""

    name: str
    address: str
    changes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)
    journal: list[dict[str, str]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    ahead_seconds: float = 0.0

    def answer(self, command: Command) -> bytes:
        """Answer as the host would."""
        match command.argv[3:]:
            case ("host",):
                return self.facts().encode()
            case ("state", *_):
                lines = [f"stamp\t{name}\t{value}\t" for name, value in self.stamps.items()]
                lines += [f"journal\t{json.dumps(event)}" for event in self.journal]
                return "\n".join(lines).encode()
        return json.dumps({"items": self.nodes}).encode() if "nodes" in command.argv else b""

    def facts(self) -> str:
        """Return the probe's answer."""
        said = {
            "hostname": (self.name,),
            "address": (f"eth0 {self.address}",),
            "machine_id": (self.name,),
            "nameserver": ("192.0.2.53",),
            "clock": (f"{time.time() + self.ahead_seconds:.3f}",),
            "member": tuple(self.stamps),
            **self.changes,
        }
        recorded = (RECORDED / "new-node.txt").read_text().splitlines()
        kept = [line for line in recorded if line.partition("\t")[0] not in said]
        return "\n".join([*kept, *(f"{key}\t{value}" for key, values in said.items() for value in values)])

    def begin(self, change: str) -> None:
        """Let the host's journal say that the change was begun and never ended."""
        entry = {"entry": "e1", "run": "r1", "step": "", "summary": "", "path": "", "before": "", "after": ""}
        self.journal.append({**entry, "event": "intent", "change": change, "undo": "", "settle": ""})


@dataclass
class Site:
    """A lab over SSH, its hosts, and the hands that remember what they were asked."""

    lab: Lab
    machines: dict[str, Machine]
    runners: dict[str, Answering]

    def refusal(self) -> str:
        """Apply, require that it is refused and that no host was asked anything but to be read; return what is said."""
        with pytest.raises(BlockedError) as caught:
            run_stages(self.lab, APPLY_STAGES)
        for runner in self.runners.values():
            assert runner.asked
            assert all(is_reading(each) for each in runner.asked)
        return caught.value.what


def is_reading(command: Command) -> bool:
    probe = command.argv[:2] == ("sh", "-c") and command.argv[3] in {"host", "state"}
    return probe or ("get" in command.argv and "/usr/local/bin/kubectl" in command.argv)


def make_site(folder: Path, **changes: Any) -> Site:
    lab = make_lab(folder, LabSpec(hosts=HOSTS, **changes))
    machines = {host.name: Machine(host.name, host.address) for host in HOSTS}
    runners = {name: Answering(machine.answer, name=name) for name, machine in machines.items()}
    lab._runners.update(runners)
    return Site(lab, machines, runners)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return four bare hosts that are fit to be three control planes and a worker."""
    return make_site(tmp_path)


def node(name: str, address: str, ready: str = "True") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {
            "nodeInfo": {"kubeletVersion": "v1.37.2"},
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def test_hosts_that_are_as_described_pass(site: Site) -> None:
    assert cluster.reach_hosts(site.lab)[1] == "4 hosts"


UNFIT: list[tuple[str, Lines, str]] = [
    ("w1", {"os.id": ("plan9",), "os.version": ("4",)}, "w1: a distribution that kubelab does not know (distribution)"),
    ("w1", {"effect": KUBELET_CONF}, "w1: another cluster's node (cluster): /etc/kubernetes/kubelet.conf"),
    ("c2", {"active_unit": ("k3s",)}, "c2: another cluster's node (cluster): k3s"),
    ("w1", {"listening": ("tcp * 10250 agent",)}, "w1: ports are taken (ports): 10250/tcp (kubelet) is held by agent"),
    ("c3", {"listening": ("tcp * 2379 etcd",)}, "c3: ports are taken (ports): 2379/tcp"),
    ("w1", LOOP, "w1: the only name server is on a loopback address (resolver): 127.0.0.53"),
    ("w1", CILIUM, "w1: another pod network comes first (cni): /etc/cni/net.d/05-cilium.conflist"),
    ("w1", {"address": (), "address6": ("eth0 2001:db8::1",)}, "w1: only IPv6 addresses (address): 2001:db8::1"),
    ("w1", {"address": ("eth0 192.0.2.77",)}, "w1: no network device has the address 192.0.2.9, but 192.0.2.77"),
    ("w1", {"kernel": ("4.18.0-553.el8",)}, "(kubernetes): Kubernetes 1.37.2: it needs Linux 5.4, and this is 4.18"),
    ("w1", {"route": ("eth1 10.244.3.0/24",)}, "w1: networks overlap (ranges)"),
    ("w1", {"machine_id": ("c2",)}, "one machine under several names, or clones that share a machine-id"),
    ("w1", {"init": ("runit",)}, "w1: systemd is not process 1 (init)"),
]


@pytest.mark.parametrize(("name", "changes", "said"), UNFIT)
def test_an_unfit_host_is_named_before_any_is_touched(
    site: Site, name: str, changes: dict[str, tuple[str, ...]], said: str
) -> None:
    site.machines[name].changes = changes
    assert said in site.refusal()


def test_a_remedy_comes_with_each_of_all_the_findings(site: Site) -> None:
    site.machines["c1"].changes = {"cpus": ("1",), "init": ("runit",)}
    site.machines["w1"].changes = {"memory_kib": ("1000",)}
    lines = site.refusal().splitlines()
    assert [line.partition(";")[2] for line in lines] == [
        " give it two",
        " use a host that boots systemd",
        " add memory",
    ]


@pytest.mark.parametrize(("ahead", "said"), [(40.0, "w1 is ahead of c"), (-40.0, "is ahead of w1")])
def test_clocks_that_are_far_apart_are_refused(site: Site, ahead: float, said: str) -> None:
    site.machines["w1"].ahead_seconds = ahead
    refusal = site.refusal()
    assert "the clocks are far apart (clock-skew)" in refusal
    assert said in refusal


@pytest.mark.parametrize(
    ("changes", "described"),
    [(LOOP, {"nameservers": ("192.0.2.53",)}), (CILIUM, {"replace_network": True})],
)
def test_what_the_file_answers_is_settled(
    tmp_path: Path, changes: dict[str, tuple[str, ...]], described: dict[str, Any]
) -> None:
    site = make_site(tmp_path, **described)
    site.machines["w1"].changes = changes
    cluster.reach_hosts(site.lab)


def test_what_the_operator_knows_better_is_passed_over(site: Site) -> None:
    site.machines["w1"].changes = {"memory_kib": ("1000",)}
    cluster.reach_hosts(dataclasses.replace(site.lab, ignored=("memory",)))


def test_a_node_of_this_cluster_is_not_judged_again(site: Site) -> None:
    """Its own kubelet holds its ports, its images have filled the disk."""
    for host in HOSTS:
        machine = site.machines[host.name]
        machine.stamps = {"kubeadm-init" if host.name == "c1" else "kubeadm-join": "kubelab"}
        machine.changes = {**NODES_PORTS, "effect": KUBELET_CONF, "disk_free_kib": ("1000",)}
    assert cluster.reach_hosts(site.lab)[1] == "4 hosts"


@pytest.mark.parametrize(("changes", "said"), [(LOOP, "w1: the only name server"), (CILIUM, "w1: another pod network")])
def test_what_the_steps_would_refuse_on_a_node_is_told_before_they_begin(
    site: Site, changes: dict[str, tuple[str, ...]], said: str
) -> None:
    site.machines["w1"].stamps = {"kubeadm-join": "kubelab"}
    site.machines["w1"].changes = changes
    assert site.refusal().startswith(said)


def test_a_node_whose_kernel_is_too_old_for_another_version_is_refused(site: Site) -> None:
    site.machines["w1"].stamps = {"kubeadm-join": "kubelab"}
    site.machines["w1"].changes = {"kernel": ("4.18.0-553.el8",)}
    assert site.refusal().startswith("w1 cannot run Kubernetes 1.37.2: it needs Linux 5.4, and this is 4.18")


def test_a_host_of_another_cluster_is_refused(site: Site) -> None:
    """As when the lab's name is changed: init would fail there, and clearing up after it would end that cluster."""
    site.machines["w1"].stamps = {"kubeadm-join": "chemistry"}
    assert site.refusal() == "w1 belongs to the cluster chemistry"


def test_a_join_that_was_cut_off_goes_on(site: Site) -> None:
    machine = site.machines["w1"]
    machine.changes = {**NODES_PORTS, "effect": KUBELET_CONF, "active_unit": ("containerd", "kubelet")}
    machine.begin(JOIN)
    cluster.reach_hosts(site.lab)


def test_a_preparation_that_was_cut_off_goes_on(site: Site) -> None:
    """Its parts have taken room, and its routes lead to the network of Services; others' ports are others' still."""
    machine = site.machines["w1"]
    machine.changes = {
        "active_unit": ("containerd",),
        "cni_file": ("/etc/cni/net.d/10-kubelab.conflist",),
        "disk_free_kib": ("4000000",),
        "default_device": (),
        "route": ("eth0 10.96.0.0/12",),
    }
    machine.begin("file:/etc/systemd/system/kubelab-routes.service")
    cluster.reach_hosts(site.lab)
    machine.changes |= NODES_PORTS
    assert "w1: ports are taken (ports)" in site.refusal()


@pytest.fixture
def standing(site: Site) -> Site:
    """Return a cluster that began on c1, into which the worker is to come."""
    for name in ("c1", "c2", "c3"):
        site.machines[name].stamps = {"kubeadm-init" if name == "c1" else "kubeadm-join": "kubelab"}
        site.machines[name].nodes = [node("c1", "192.0.2.1")]
    return site


def test_another_machine_of_that_name_is_not_put_out_of_the_cluster(standing: Site) -> None:
    standing.machines["c1"].nodes.append(node("w1", "192.0.2.77"))
    said = "w1 at 192.0.2.9: the cluster has a Ready node of that name at 192.0.2.77, another machine"
    assert standing.refusal().startswith(said)
    with pytest.raises(BlockedError, match="a Ready node of that name at") as caught:
        joining._forget(standing.lab, HOSTS[3])
    assert "`kubelab cluster remove NAME --lost --yes`" in caught.value.next_step
    assert all("delete" not in each.argv for each in standing.runners["c1"].asked)


@pytest.mark.parametrize("left", [node("w1", "192.0.2.9"), node("w1", "192.0.2.77", "False")])
def test_what_the_host_or_a_machine_that_is_gone_left_is_forgotten(standing: Site, left: dict[str, Any]) -> None:
    standing.machines["c1"].nodes.append(left)
    cluster.reach_hosts(standing.lab)
    joining._forget(standing.lab, HOSTS[3])
    assert "delete" in standing.runners["c1"].asked[-1].argv


def test_the_host_itself_is_judged_alike(site: Site) -> None:
    """As `kubelab-host init` and `join` do; a ticket of a second cluster must not touch a node of the first."""
    machine, runner = site.machines["w1"], site.runners["w1"]
    spec = site.lab.spec
    require_fit(runner, parse_facts(machine.facts()), spec, ())
    machine.changes = {**NODES_PORTS, "effect": KUBELET_CONF}
    with pytest.raises(BlockedError, match="w1: ports are taken"):
        require_fit(runner, parse_facts(machine.facts()), spec, ())
    require_fit(runner, parse_facts(machine.facts()), spec, ("ports", "cluster"))
    machine.begin(JOIN)
    require_fit(runner, parse_facts(machine.facts()), spec, ())
    machine.stamps = {"kubeadm-join": "chemistry"}
    with pytest.raises(BlockedError, match="w1 belongs to the cluster chemistry"):
        require_fit(runner, parse_facts(machine.facts()), spec, ())
