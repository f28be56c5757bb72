"""`kubelab-host` on hosts of its own, as a person uses it: check, plan, init, ticket, join, status, rollback, reset.

The tests run in this order, on two bare hosts with Python: what one leaves, the next goes on from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509

from kubelab_helpers.cluster import engine, nodes
from kubelab_helpers.errors import ExitStatus
from kubelab_helpers.hosts.command import Command, Completed

from .machines import Machine, bare_hosts
from .snapshot import CLUSTER, steady_facts, take_snapshot, take_strict_snapshot

# TEST-NET-1, RFC 5737: nobody answers there, and nothing in these tests asks.
NAMESERVER = ("--nameserver", "192.0.2.53")
# TEST-NET-2: as where people reach the host by another address than the other nodes do.
PUBLIC_ADDRESS = "198.51.100.7"
INIT = (*NAMESERVER, "--public-address", PUBLIC_ADDRESS)
NETWORK = "172.30.243.0/24"
BEFORE: dict[str, Any] = {}
IS_MASKED = Command(("systemctl", "is-enabled", "swap.target"))
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--cache-dir=/run/kubectl")


@pytest.fixture(scope="module")
def hosts(python_image: str, parts_mount: tuple[str, str]) -> Iterator[list[Machine]]:
    with bare_hosts("kl4h-commands", NETWORK, ["one", "two"], python_image, [parts_mount]) as made:
        yield made


@pytest.fixture(scope="module")
def one(hosts: list[Machine]) -> Machine:
    return hosts[0]


@pytest.fixture(scope="module")
def two(hosts: list[Machine]) -> Machine:
    return hosts[1]


def call(machine: Machine, *arguments: str, stdin: bytes | None = None) -> Completed:
    """Run kubelab-host on a host and return how it ended."""
    return machine.runner.run(Command(("kubelab-host", *arguments), stdin=stdin, timeout_seconds=240))


def answer(machine: Machine, *arguments: str, stdin: bytes | None = None) -> dict[str, Any]:
    """Run kubelab-host on a host, require success and return its JSON answer."""
    done = call(machine, *arguments, "-o", "json", stdin=stdin)
    assert done.status == 0, done.error_text[-2000:]
    found: dict[str, Any] = json.loads(done.text)
    return found


def outcomes(answered: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["outcome"] for stage in answered["stages"]}


def test_check_reads_only_and_says_what_blocks(one: Machine) -> None:
    """The engine's resolver is on a loopback address, which pods cannot ask: a real finding on these hosts."""
    BEFORE["one"] = (take_snapshot(one), steady_facts(one))
    strict = take_strict_snapshot(one)
    began = time.monotonic()
    done = call(one, "check", "-o", "json")
    print(f"check took {time.monotonic() - began:.1f} s")
    blocking = [each["id"] for each in json.loads(done.text)["findings"] if each["severity"] == "blocked"]
    assert (done.status, blocking) == (ExitStatus.BLOCKED, ["resolver"])
    assert take_strict_snapshot(one) == strict
    assert call(one, "check", "--active", "-o", "json").status == ExitStatus.BLOCKED
    assert take_snapshot(one) == BEFORE["one"][0]


def test_what_the_check_tries_works_here(one: Machine) -> None:
    """Every feature that `--active` tries is in this machine's kernel: the cluster below needs them all."""
    findings = json.loads(call(one, "check", "--active", "-o", "json").text)["findings"]
    tried = {each["id"]: each["severity"] for each in findings if each["id"].startswith("try-")}
    assert {"try-vxlan", "try-overlay", "try-nftables-nat", "try-ipset", "try-iptables-set"} <= tried.keys()
    assert set(tried.values()) == {"ok"}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("init",), ExitStatus.BLOCKED, "the only name server is on a loopback address (resolver)"),
        (("init", *NAMESERVER, "--name", "n" * 64), ExitStatus.INVALID, "has 64 characters"),
        (("init", *NAMESERVER, "--name", "Upper"), ExitStatus.INVALID, "did you mean upper?"),
        (("init", *NAMESERVER, "--pod-cidr", "10.96.0.0/16"), ExitStatus.INVALID, "overlaps"),
        (("init", *NAMESERVER, "--address", "2001:db8::1"), ExitStatus.INVALID, "is IPv6"),
        (("init", *NAMESERVER, "--address", "192.0.2.77"), ExitStatus.BLOCKED, "no network device has the address"),
        (("init", *NAMESERVER, "--source", "upsteam"), ExitStatus.INVALID, "did you mean upstream?"),
        (("init", *NAMESERVER, "--bundle", "/nowhere.tar"), ExitStatus.INVALID, "/nowhere.tar is not there"),
        (("init", *NAMESERVER, "--kubernetes-version", "1.30.0"), ExitStatus.INVALID, "carries no parts of Kubernetes"),
        (("init", *NAMESERVER, "--mtu", "12"), ExitStatus.INVALID, "greater than or equal to 1280"),
        (("join", *NAMESERVER), ExitStatus.INVALID, "this is no ticket"),
        (("ticket",), ExitStatus.BLOCKED, "is no control plane"),
        (("rollback",), ExitStatus.INVALID, "kubelab-host rollback --dry-run"),
        (("reset",), ExitStatus.INVALID, "kubelab-host reset --yes"),
    ],
)
def test_a_refusal_touches_nothing(one: Machine, arguments: tuple[str, ...], status: ExitStatus, said: str) -> None:
    done = call(one, *arguments)
    assert done.status == status
    assert said in done.error_text
    assert "Traceback" not in done.error_text
    assert take_snapshot(one) == BEFORE["one"][0]
    assert one.runner.run(Command(("test", "-e", "/var/lib/kubelab"))).status != 0


def test_a_plan_writes_nothing(one: Machine) -> None:
    strict = take_strict_snapshot(one)
    began = time.monotonic()
    stages = answer(one, "plan", *INIT)["stages"]
    print(f"plan took {time.monotonic() - began:.1f} s")
    assert take_strict_snapshot(one) == strict
    planned = {stage["stage"]: stage["changes"] for stage in stages}
    assert "one: kubeadm init kubelab (Kubernetes 1.37.2)" in planned["control plane"]
    assert len(planned["prepare"]) > 30
    assert take_snapshot(one) == BEFORE["one"][0]
    assert steady_facts(one) == BEFORE["one"][1]
    assert one.runner.run(Command(("test", "-e", "/var/lib/kubelab"))).status != 0


def test_init_makes_a_cluster(one: Machine) -> None:
    assert one.runner.run(IS_MASKED).text == "static\n"
    began = time.monotonic()
    done = answer(one, "init", *INIT)
    print(f"init took {time.monotonic() - began:.1f} s: {[(s['name'], s['seconds']) for s in done['stages']]}")
    assert outcomes(done)["control plane"] == "changed"
    assert one.run("stat", "-c", "%a", "/etc/kubernetes/admin.conf").strip() == "600"
    assert one.run(*KUBECTL, "get", "nodes", "-o", "name").split() == ["node/one"]
    loaded = one.run("bash", "-c", ". /usr/local/share/bash-completion/completions/kubectl; complete -p kubectl")
    assert "-F __start_kubectl kubectl" in loaded
    # No unit turns swap on again, whatever a generator finds on the disks.
    assert one.runner.run(IS_MASKED).text == "masked\n"


def test_the_public_address_stands_in_the_certificate(one: Machine) -> None:
    """With the host's own, the endpoint's name and the Service's address."""
    certificate = x509.load_pem_x509_certificate(one.run("cat", "/etc/kubernetes/pki/apiserver.crt").encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {PUBLIC_ADDRESS, one.address, "127.0.0.1", "10.96.0.1"}
    assert "kubelab.kubelab.internal" in names.get_values_for_type(x509.DNSName)


def test_init_again_changes_nothing(one: Machine) -> None:
    began = time.monotonic()
    done = answer(one, "init", *INIT)
    print(f"init again took {time.monotonic() - began:.1f} s")
    assert set(outcomes(done).values()) == {"unchanged"}
    assert not any(stage["changes"] for stage in answer(one, "plan", *INIT)["stages"])


def test_a_second_host_joins_by_ticket(one: Machine, two: Machine) -> None:
    """It has a pod network already, which is only set aside when that is asked for."""
    two.shell("mkdir -p /etc/cni/net.d; echo theirs > /etc/cni/net.d/05-theirs.conflist")
    BEFORE["two"] = (take_snapshot(two), steady_facts(two))
    ticket = call(one, "ticket").stdout
    refused = call(two, "join", *NAMESERVER, stdin=ticket)
    assert refused.status == ExitStatus.BLOCKED
    assert "another pod network comes first (cni): /etc/cni/net.d/05-theirs.conflist" in refused.error_text
    twin = call(two, "join", *NAMESERVER, "--replace-network", "--name", "one", stdin=ticket)
    assert twin.status == ExitStatus.BLOCKED
    assert f"has a node one at {one.address}, and this host is one at {two.address}" in twin.error_text
    planned = answer(two, "join", *NAMESERVER, "--replace-network", "--dry-run", stdin=ticket)["stages"]
    assert [each["stage"] for each in planned if each["changes"]] == ["prepare", "join"]
    assert take_snapshot(two) == BEFORE["two"][0]
    assert steady_facts(two) == BEFORE["two"][1]
    began = time.monotonic()
    done = answer(two, "join", *NAMESERVER, "--replace-network", stdin=ticket)
    print(f"join took {time.monotonic() - began:.1f} s: {[(s['name'], s['seconds']) for s in done['stages']]}")
    assert sorted(one.run(*KUBECTL, "get", "nodes", "-o", "name").split()) == ["node/one", "node/two"]
    assert set(outcomes(answer(two, "join", *NAMESERVER, stdin=ticket)).values()) == {"unchanged"}


def test_no_secret_is_in_the_journals(one: Machine, two: Machine) -> None:
    """Neither token nor encryption key: what undoes a change needs none."""
    key = one.shell("sed -n 's/.*secret: \\([^}]*\\)}.*/\\1/p' /etc/kubernetes/kubelab/encryption.yaml").strip()
    assert len(key) > 40
    for machine in (one, two):
        journal = machine.run("cat", "/var/lib/kubelab/journal.jsonl")
        assert key not in journal
        assert "BEGIN" not in journal
        assert machine.run("stat", "-c", "%a", "/var/lib/kubelab/journal.jsonl").strip() == "600"
    tokens = one.shell('kubeadm token list -o json | sed -n \'s/.*"token": "\\(.*\\)".*/\\1/p\'').split()
    assert tokens
    assert not any(token in two.run("cat", "/var/lib/kubelab/journal.jsonl") for token in tokens)


def test_what_someone_else_changed_is_named_and_left(two: Machine) -> None:
    path = "/etc/sysctl.d/90-kubelab.conf"
    ours = two.run("cat", path)
    two.shell(f"echo '# mine' >> {path}")
    assert answer(two, "status")["changed"] == [path]
    done = call(two, "reset", "--yes")
    assert done.status == ExitStatus.BLOCKED
    assert f"changed by someone else since kubelab wrote it: {path}" in done.error_text
    assert two.run("cat", path).endswith("# mine\n")
    two.runner.check(Command(("sh", "-c", f"cat > {path}"), stdin=ours.encode()))
    assert answer(two, "status")["changed"] == []


def test_a_restarted_host_comes_back(two: Machine, one: Machine) -> None:
    """The kernel's settings, the mounts and kubelet are those of before, by themselves."""
    container = engine.client().containers.get(two.runner.name)
    container.restart(timeout=20)
    nodes.wait_until_booted(two.runner)
    one.run(*KUBECTL, "wait", "node/two", "--for=condition=Ready", "--timeout=90s")
    # The engine writes a container's /etc/hosts anew at each start, without the endpoint's line.
    done = answer(two, "join", *NAMESERVER, stdin=call(one, "ticket").stdout)
    assert [stage["detail"] for stage in done["stages"]] == ["1 changes", "0 changes", ""]


def test_a_reset_leaves_the_host_as_it_was_and_what_is_not_ours(two: Machine) -> None:
    """A foreign CNI file, an iptables rule, a mount below /var/lib/kubelet with data, and a user's home survive."""
    two.shell("""
        echo '{}' > /etc/cni/net.d/99-theirs.conf
        iptables -N THEIRS; iptables -A FORWARD -s 198.51.100.0/24 -j THEIRS
        mkdir -p /srv/theirs /var/lib/kubelet/theirs; echo data > /srv/theirs/file
        mount --bind /srv/theirs /var/lib/kubelet/theirs
        mkdir -p /var/lib/kubelab/volumes/ada; echo home > /var/lib/kubelab/volumes/ada/file
    """)
    began = time.monotonic()
    assert answer(two, "reset", "--yes")["done"]
    print(f"reset took {time.monotonic() - began:.1f} s")
    assert two.run("cat", "/srv/theirs/file", "/var/lib/kubelet/theirs/file") == "data\ndata\n"
    assert two.run("cat", "/var/lib/kubelab/volumes/ada/file") == "home\n"
    assert two.run("cat", "/etc/cni/net.d/99-theirs.conf") == "{}\n"
    assert two.run("cat", "/etc/cni/net.d/05-theirs.conflist") == "theirs\n"
    two.shell("iptables -C FORWARD -s 198.51.100.0/24 -j THEIRS")
    two.shell("""
        umount /var/lib/kubelet/theirs; rmdir /var/lib/kubelet/theirs /var/lib/kubelet; rm -r /srv/theirs
        iptables -D FORWARD -s 198.51.100.0/24 -j THEIRS; iptables -X THEIRS
        rm /etc/cni/net.d/99-theirs.conf
    """)
    assert take_snapshot(two) == BEFORE["two"][0]
    assert steady_facts(two) == BEFORE["two"][1]


@pytest.mark.parametrize("arguments", [("rollback", "--dry-run"), ("reset", "--dry-run"), ("plan", *INIT), ("status",)])
def test_a_dry_run_on_a_node_writes_nothing(one: Machine, arguments: tuple[str, ...]) -> None:
    """What a cluster that runs writes by itself is not looked at; all else is, down to the content."""
    before = take_strict_snapshot(one, CLUSTER)
    assert answer(one, *arguments).get("done", False) is False
    assert take_strict_snapshot(one, CLUSTER) == before


def test_a_rollback_takes_the_control_plane_back(one: Machine) -> None:
    """Everything was one run; its certificates, keys and data are kept in an archive first."""
    assert answer(one, "status")["runs"][-1]["changes"] > 40
    began = time.monotonic()
    assert answer(one, "rollback", "--yes")["done"]
    print(f"rollback took {time.monotonic() - began:.1f} s")
    assert take_snapshot(one) == BEFORE["one"][0]
    assert steady_facts(one) == BEFORE["one"][1]
    assert one.runner.run(IS_MASKED).text == "static\n"
    archive = one.shell("ls /var/lib/kubelab/backups/cluster-*.tar.gz").strip()
    assert one.run("stat", "-c", "%a", archive).strip() == "600"
    listed = one.run("tar", "--list", "--file", archive)
    assert "etc/kubernetes/pki/ca.key" in listed
    assert "var/lib/etcd/member/snap/db" in listed
    assert answer(one, "reset", "--yes")["entries"] == []
