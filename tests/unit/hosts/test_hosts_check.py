"""Every rule of `kubelab-host check`, both ways: what is well is told, and what is not comes with its remedy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from kubelab_helpers.cli.kubelab_host import app
from kubelab_helpers.errors import ExitStatus, KubelabError
from kubelab_helpers.hosts import active
from kubelab_helpers.hosts.checks import RULES, check_hosts
from kubelab_helpers.hosts.checks.ports import load_ports, needed_ports
from kubelab_helpers.hosts.facts import HostFacts, Listener, facts_from_data
from kubelab_helpers.hosts.findings import Severity, Subject, worst
from kubelab_helpers.hosts.report import render_report
from kubelab_helpers.hosts.spec import Role

from .support import recorded_facts

HOSTILE = '<script>alert("x")</script>'


def host(role: Role = "control-plane", **changes: Any) -> Subject:
    """Return a recorded container node, with some facts changed."""
    return Subject(dataclasses.replace(recorded_facts("new-node"), **changes), role)


def severity_of(name: str, *subjects: Subject) -> Severity | None:
    found = [each.severity for each in check_hosts(subjects) if each.id == name]
    assert len(found) <= 1
    return found[0] if found else None


OK, NOTE, WARNING, BLOCKED = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.BLOCKED
ALL_PORTS = ("tcp 22,2379-2380,5000,6443", "tcp 10250:10256", "th 8472", "tcp 30000-32767")
CASES: list[tuple[str, Severity | None, dict[str, Any]]] = [
    ("cpu", OK, {"cpus": 2}),
    ("cpu", BLOCKED, {"cpus": 1}),
    ("memory", OK, {"memory_kib": 1700 << 10}),
    ("memory", BLOCKED, {"memory_kib": (1700 << 10) - 1}),
    ("disk", OK, {"disk_free_kib": 20 << 20}),
    ("disk", WARNING, {"disk_free_kib": 19 << 20}),
    ("disk", BLOCKED, {"disk_free_kib": 4 << 20}),
    ("distribution", OK, {}),
    ("distribution", BLOCKED, {"os_id": "plan9", "os_version": "4"}),
    ("init", OK, {}),
    ("init", BLOCKED, {"init": "runit"}),
    ("rights", OK, {}),
    ("rights", BLOCKED, {"uid": 1000, "privileged": False}),
    ("name", OK, {"hostname": "node-1.lab.example"}),
    ("name", BLOCKED, {"hostname": "Node-1"}),
    ("name", BLOCKED, {"hostname": "node_1"}),
    ("name", BLOCKED, {"hostname": "n" * 64}),
    ("name", BLOCKED, {"hostname": "localhost"}),
    ("time", OK, {"time_synchronized": "yes"}),
    ("time", OK, {"active_units": frozenset({"chrony"})}),
    ("time", WARNING, {"time_synchronized": "no"}),
    ("selinux", None, {"selinux": ""}),
    ("selinux", OK, {"selinux": "permissive"}),
    ("selinux", WARNING, {"selinux": "enforcing"}),
    ("apparmor", NOTE, {"apparmor": True}),
    ("machine", OK, {"machine": "aarch64"}),
    ("machine", BLOCKED, {"machine": "riscv64"}),
    ("kubernetes", OK, {"kernel": "5.13.0-1-amd64"}),
    ("kubernetes", BLOCKED, {"kernel": "3.10.0-1160.el7.x86_64"}),
    ("kubernetes", NOTE, {"kernel": "5.4.0-216-generic"}),
    ("overlay", OK, {}),
    ("overlay", NOTE, {"filesystems": frozenset(), "modules_loadable": True}),
    ("overlay", BLOCKED, {"filesystems": frozenset()}),
    ("br_netfilter", BLOCKED, {"effects": frozenset()}),
    ("cgroup", OK, {"cgroup": 2}),
    ("cgroup", WARNING, {"cgroup": 1}),
    ("swap", OK, {}),
    ("swap", NOTE, {"swaps": ("/dev/sda2",)}),
    ("swap", NOTE, {"contents": {"/etc/fstab": "UUID=1 none swap sw 0 0\n"}}),
    ("swap", OK, {"contents": {"/etc/fstab": "# /dev/sda2 none swap sw 0 0\n/dev/sda1 /swap ext4 defaults 0 0\n"}}),
    ("oom-score", OK, {"can_lower_oom_score": True}),
    ("oom-score", NOTE, {"can_lower_oom_score": False}),
    ("address", OK, {}),
    ("address", BLOCKED, {"addresses": (), "addresses6": (("eth0", "2001:db8::1"),)}),
    ("address", BLOCKED, {"addresses": ()}),
    ("route", OK, {}),
    ("route", WARNING, {"default_devices": ()}),
    ("route", WARNING, {"default_devices": ("eth0", "eth1")}),
    ("ranges", OK, {}),
    ("ranges", BLOCKED, {"routes": (("eth1", "10.244.7.0/24"),)}),
    ("ranges", BLOCKED, {"routes": (("tun0", "10.0.0.0/8"),)}),
    ("ranges", OK, {"routes": (("flannel.1", "10.244.1.0/24"), ("cali123", "10.244.0.9"))}),
    ("mtu", OK, {}),
    ("mtu", WARNING, {"mtus": {"eth0": 1300}}),
    ("resolver", OK, {"nameservers": ("192.0.2.53",)}),
    ("resolver", OK, {"nameservers": ("127.0.0.53",), "upstream_nameservers": ("192.0.2.53",)}),
    ("resolver", WARNING, {"nameservers": tuple(f"192.0.2.{number}" for number in range(4))}),
    ("resolver", BLOCKED, {"nameservers": ("127.0.0.53",)}),
    ("resolver", BLOCKED, {"nameservers": ()}),
    ("firewall", OK, {}),
    ("firewall", WARNING, {"active_units": frozenset({"firewalld"})}),
    ("forwarding", OK, {}),
    ("forwarding", OK, {"base_chains": ("ip filter FORWARD forward accept", "ip nat POSTROUTING postrouting accept")}),
    ("forwarding", OK, {"base_chains": ("ip6 filter FORWARD forward drop",)}),
    ("forwarding", NOTE, {"base_chains": ("ip filter FORWARD forward drop",)}),
    ("forwarding", WARNING, {"base_chains": ("ip filter FORWARD forward accept", "inet wall forward forward drop")}),
    ("forwarding", None, {"base_chains": ("inet wall f forward drop",), "member": frozenset({"kubeadm-join"})}),
    ("input", OK, {}),
    ("input", OK, {"base_chains": ("inet wall in input accept",)}),
    ("input", WARNING, {"base_chains": ("inet wall in input drop",)}),
    ("input", WARNING, {"base_chains": ("inet wall in input drop",), "accepted_ports": ("tcp 22", "tcp 6443")}),
    ("input", OK, {"base_chains": ("inet wall in input drop",), "accepted_ports": ALL_PORTS}),
    ("input", None, {"base_chains": ("inet wall in input drop",), "member": frozenset({"kubeadm-join"})}),
    ("proxy", None, {}),
    ("proxy", WARNING, {"proxies": {"https_proxy": "http://192.0.2.8:3128"}}),
    (
        "proxy",
        NOTE,
        {
            "proxies": {
                "HTTPS_PROXY": "http://192.0.2.8:3128",
                "NO_PROXY": "10.244.0.0/16,10.96.0.0/12,172.30.250.11",
            }
        },
    ),
    ("ports", OK, {}),
    ("ports", BLOCKED, {"listening": (Listener("tcp", "*", 10250, "kubelet"),)}),
    ("ports", OK, {"listening": (Listener("udp", "*", 10250, "other"),)}),
    ("ports", OK, {"listening": (Listener("tcp", "*", 10250, "kubelet"),), "member": frozenset({"kubeadm-join"})}),
    ("ports", NOTE, {"listening": (), "programs": frozenset()}),
    ("cluster", OK, {}),
    ("cluster", NOTE, {"member": frozenset({"kubeadm-init"}), "effects": frozenset({"kubernetes_node"})}),
    ("cluster", BLOCKED, {"effects": frozenset({"kubernetes_node"})}),
    ("cluster", BLOCKED, {"active_units": frozenset({"k3s"})}),
    ("docker", None, {}),
    ("docker", NOTE, {"active_units": frozenset({"docker"})}),
    ("containerd", WARNING, {"active_units": frozenset({"containerd"})}),
    ("containerd", None, {"active_units": frozenset({"containerd"}), "member": frozenset({"kubeadm-join"})}),
    ("cni", OK, {"cni_files": ("/etc/cni/net.d/10-kubelab.conflist",)}),
    ("cni", NOTE, {"cni_files": ("/etc/cni/net.d/99-other.conf",)}),
    ("cni", BLOCKED, {"cni_files": ("/etc/cni/net.d/05-cilium.conflist",)}),
]


@pytest.mark.parametrize(("name", "severity", "changes"), CASES)
def test_a_rule(name: str, severity: Severity | None, changes: dict[str, Any]) -> None:
    assert severity_of(name, host(**changes)) == severity


def test_what_is_wrong_says_what_was_seen_and_what_to_do() -> None:
    for _, _, changes in CASES:
        for found in check_hosts([host(**changes)]):
            if found.severity in {WARNING, BLOCKED}:
                assert found.remedy, found
                assert found.seen or found.id in {"address"}, found


def test_every_rule_has_both_ways() -> None:
    """The table above holds a good and a bad case of every rule that can end both ways."""
    tried = {name for name, _, _ in CASES}
    told = {each.id for _, _, changes in CASES for rule in RULES for each in rule(host(**changes))}
    assert told == tried


def test_a_worker_needs_less() -> None:
    assert severity_of("cpu", host("worker", cpus=1)) is WARNING
    assert severity_of("memory", host("worker", memory_kib=1024 << 10)) is OK
    assert severity_of("ports", host("worker", listening=(Listener("tcp", "*", 6443, "nginx"),))) is OK


def test_the_port_and_its_holder_are_told() -> None:
    (found,) = [
        each for each in check_hosts([host(listening=(Listener("udp", "*", 8472, "vpn"),))]) if each.id == "ports"
    ]
    assert found.seen == "8472/udp (Flannel, pods of other nodes) is held by vpn"


def test_a_closed_port_is_named() -> None:
    changes = {"base_chains": ("inet wall in input drop",), "accepted_ports": ("tcp 10250,10256,30080,30443",)}
    (found,) = [each for each in check_hosts([host("worker", **changes)]) if each.id == "input"]
    assert (found.seen, found.remedy) == ("policy drop in inet wall in", "open 8472/udp to the other hosts")


def test_ports_by_role() -> None:
    control_plane, worker = ({each.port for each in needed_ports(role)} for role in ("control-plane", "worker"))
    assert worker < control_plane
    assert {6443, 2379, 2380, 10250, 8472, 30080} <= control_plane
    assert all(each.use for each in load_ports())


TWIN = {"hostname": "worker-2", "addresses": (("eth0", "172.30.250.12"),), "machine_id": "f" * 32}
FLEET: list[tuple[str, Severity | None, dict[str, Any]]] = [
    ("unique-name", None, {}),
    ("unique-name", BLOCKED, {"hostname": "worker-1"}),
    ("unique-address", None, {}),
    ("unique-address", BLOCKED, {"addresses": (("eth0", "172.30.250.11"),)}),
    ("unique-machine-id", None, {}),
    ("unique-machine-id", BLOCKED, {"machine_id": recorded_facts("new-node").machine_id}),
    ("unique-product-uuid", None, {"product_uuid": "ABC"}),
    ("unique-product-uuid", WARNING, {"product_uuid": "SAME"}),
    ("clock-skew", OK, {"clock_offset_seconds": 0.4}),
    ("clock-skew", WARNING, {"clock_offset_seconds": 1.2}),
    ("clock-skew", BLOCKED, {"clock_offset_seconds": -31.0}),
    ("clock-skew", OK, {"clock_offset_seconds": 40.0, "clock_uncertainty_seconds": 45.0}),
    ("clock-skew", WARNING, {"clock_offset_seconds": 40.0, "clock_uncertainty_seconds": 15.0}),
    ("clock-skew", None, {"clock_offset_seconds": None}),
    ("same-mtu", None, {}),
    ("same-mtu", WARNING, {"mtus": {"eth0": 9000}}),
    ("same-machine", None, {}),
    ("same-machine", NOTE, {"machine": "aarch64"}),
]


@pytest.mark.parametrize(("name", "severity", "changes"), FLEET)
def test_a_rule_across_hosts(name: str, severity: Severity | None, changes: dict[str, Any]) -> None:
    first = host("worker", clock_offset_seconds=0.0, product_uuid="same")
    second = host("worker", **{"clock_offset_seconds": 0.1, **TWIN, **changes})
    assert severity_of(name, first, second) == severity


def test_a_hundred_hosts() -> None:
    subjects = [host("worker", hostname=f"worker-{number}") for number in range(100)]
    found = check_hosts(subjects)
    assert {each.host for each in found if each.host} == {f"worker-{number}" for number in range(100)}
    assert worst(found) is BLOCKED  # they share their address and machine-id


def test_facts_survive_json() -> None:
    facts = dataclasses.replace(recorded_facts("new-node"), listening=(Listener("tcp", "*", 22, "sshd"),))
    data = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in vars(facts).items()}
    assert facts_from_data(json.loads(json.dumps(data, default=vars))) == facts


class Page(HTMLParser):
    """Reads a page as a browser would: tags balanced, texts, and what it would load from elsewhere."""

    VOID = frozenset({"meta", "line", "rect", "link", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [value or "" for key, value in attrs if key == "src" or (tag == "link" and key == "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser: `<line/>` opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        self.texts.append(data.strip())


def test_the_page_stands_alone_and_tells_everything() -> None:
    subjects = [host(cpus=1), host("worker", **TWIN)]
    findings = check_hosts(subjects)
    page = Page(render_report(subjects, findings, "now"))
    assert page.open == []
    assert page.loads == []
    assert {each.title for each in findings} <= set(page.texts)
    assert {each.remedy for each in findings if each.remedy} <= set(page.texts)
    assert {"worker-1", "worker-2"} <= set(page.texts)


def test_the_page_escapes_what_hosts_say() -> None:
    subject = host(hostname=HOSTILE, os_name=HOSTILE)
    text = render_report([subject], check_hosts([subject]), "now")
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


def record(folder: Path, name: str, facts: HostFacts) -> str:
    file = folder / f"{name}.json"
    data = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in vars(facts).items()}
    file.write_text(json.dumps({"schema": 1, "facts": data}, default=vars))
    return str(file)


def test_recorded_hosts_are_checked_together(tmp_path: Path) -> None:
    files = [record(tmp_path, name, host("worker").facts) for name in ("one", "two")]
    arguments = ["check", "--role", "worker", "--facts", files[0], "--facts", files[1], "-o", "json"]
    done = CliRunner().invoke(app, arguments)
    answer = json.loads(done.stdout)
    assert done.exit_code == ExitStatus.BLOCKED
    assert answer["schema"] == 1
    assert "unique-name" in {each["id"] for each in answer["findings"] if each["severity"] == "blocked"}


def test_recorded_clocks_get_no_verdict(tmp_path: Path) -> None:
    """A recording says how far the host's clock was from its own: nothing, also where it is an hour wrong."""
    files = [record(tmp_path, name, host("worker", clock_offset_seconds=0.0).facts) for name in ("one", "two")]
    done = CliRunner().invoke(app, ["check", "--facts", files[0], "--facts", files[1], "--all", "-o", "json"])
    found = {each["id"] for each in json.loads(done.stdout)["findings"]}
    assert "unique-name" in found
    assert "clock-skew" not in found


def test_a_named_node_is_judged_by_what_it_was_named() -> None:
    facts = dataclasses.replace(recorded_facts("new-node"), hostname="localhost", mtus={"eth0": 1500, "eth1": 1300})
    facts = dataclasses.replace(facts, addresses=(("eth0", "192.0.2.1"), ("eth1", "198.51.100.1")))
    named = Subject(facts, "worker", node_name="node-1", node_address="198.51.100.1")
    assert (severity_of("name", named), severity_of("mtu", named)) == (OK, WARNING)
    assert (severity_of("name", Subject(facts, "worker")), severity_of("mtu", Subject(facts, "worker"))) == (
        BLOCKED,
        OK,
    )


def test_a_host_that_is_fit_ends_well(tmp_path: Path) -> None:
    file = record(tmp_path, "one", host(nameservers=("192.0.2.53",)).facts)
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["check", "--facts", file, "--html", str(page)])
    assert done.exit_code == 0
    assert "cgroup v1, which Kubernetes is leaving" in done.stdout
    assert "enough processors" not in done.stdout
    assert "enough processors" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pod-cidr", "10.0.0.0/8x"], "a network is wanted"),
        (["--pod-cidr", "10.96.0.0/12"], "overlap"),
        (["--facts", "/nowhere.json"], "holds no facts"),
        (["--reach", "http://127.0.0.1:1"], "--reach needs --active"),
    ],
)
def test_wrong_input(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["check", *arguments])
    assert isinstance(done.exception, KubelabError)
    assert said in done.exception.what
    assert done.exception.exit_status is ExitStatus.INVALID


def test_the_disk_is_measured(tmp_path: Path) -> None:
    median, slowest = active.measure_fsync(tmp_path, writes=20)
    assert 0 < median <= slowest
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def registry() -> Iterator[str]:
    """Answer every request on a loopback port as a registry that wants a login does, and return the URL."""

    class Registry(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            """See BaseHTTPRequestHandler."""
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 — the base class's name
            """See BaseHTTPRequestHandler: say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v2/"
        server.shutdown()
        thread.join()


def test_a_registry_that_answers(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any status is an answer: whether a login is wanted is not this check's question."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = active.reach(registry, timeout_seconds=5)
    assert (found.severity, found.title, found.seen) == (OK, f"{registry} answers", "status 401")


def test_a_registry_that_does_not_answer() -> None:
    assert active.reach("http://127.0.0.1:1", timeout_seconds=2).severity is BLOCKED
