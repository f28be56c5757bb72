"""The probes' output becomes facts and state; the probes themselves run on this machine's own `sh`."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.facts import parse_facts, probe_host
from kubelab_helpers.hosts.ledger import read_ledger
from kubelab_helpers.hosts.probe import probe_command
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.hosts.state import FileState, parse_state, probe_state

from .support import RECORDED, Answering, FolderRunner, recorded_facts


def test_recorded_machine() -> None:
    facts = recorded_facts("machine")
    assert (facts.os_id, facts.os_version, facts.codename, facts.machine) == ("debian", "12", "bookworm", "x86_64")
    assert (facts.cpus, facts.memory_kib, facts.uid) == (2, 24684100, 0)
    assert facts.disk_free_kib < facts.disk_size_kib
    assert facts.cgroup == 1
    assert not facts.can_lower_oom_score
    assert not facts.modules_loadable
    assert facts.filesystems == {"overlay"}
    assert facts.effects == {"br_netfilter"}
    assert facts.writable == {"nf_conntrack_max"}
    assert facts.swaps == ()
    assert facts.nameservers == ("192.0.2.53",)
    assert facts.addresses == (("eth0", "192.0.2.2"), ("docker0", "172.17.0.1"), ("br-1", "172.30.250.1"))
    assert facts.mtus["eth0"] == 1400
    assert "127.0.0.1 localhost" in facts.hosts_entries
    assert facts.programs == {"iptables", "ip", "mount", "systemctl", "apt-get"}


def test_a_full_bounding_set_can_lower_the_oom_score() -> None:
    recorded = (RECORDED / "machine.txt").read_text()
    assert parse_facts(recorded.replace("000001fffeffffff", "000001ffffffffff")).can_lower_oom_score


@pytest.mark.parametrize(("name", "loops"), [("machine", False), ("new-node", True)])
def test_a_resolver_on_loopback_loops(name: str, loops: bool) -> None:
    assert recorded_facts(name).resolver_loops is loops


def test_the_device_of_an_address() -> None:
    facts = recorded_facts("control-plane")
    assert facts.device_of("172.30.250.10") == "eth0"
    assert facts.device_of("192.0.2.99") is None


def test_every_recorded_probe_has_the_same_kinds_of_facts() -> None:
    """Whoever adds a fact to the probe records it again: what the parser needs is in each recording."""
    for file in RECORDED.glob("*.txt"):
        assert parse_facts(file.read_text()).hostname


def test_an_unreadable_probe_is_an_error_with_a_remedy() -> None:
    with pytest.raises(KubelabError, match="probe's answer cannot be read") as caught:
        probe_host(Answering(lambda _: b"os.id\tdebian\n"))
    assert "awk" in caught.value.next_step


def test_this_machine_can_be_probed() -> None:
    facts = probe_host(LocalRunner())
    assert facts.uid == os.geteuid()
    assert facts.hostname == os.uname().nodename
    assert facts.cpus == os.cpu_count()
    assert facts.kernel == os.uname().release
    assert facts.memory_kib > 0


def test_state_of_files_directories_and_settings(tmp_path: Path) -> None:
    file, folder = tmp_path / "with space", tmp_path / "folder"
    file.write_bytes(b"content\n")
    file.chmod(0o640)
    folder.mkdir(mode=0o755)
    watched = [f"file:{file}", f"file:{folder}", f"file:{tmp_path}/absent", "sysctl:kernel.ostype", "sysctl:no.such"]
    state = probe_state(LocalRunner(), watched)
    owner = f"{os.geteuid()}:{os.getegid()}"
    sha256 = "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53"
    assert state.files == {
        str(file): FileState(sha256, "640", owner),
        str(folder): FileState("directory", "755", owner),
    }
    assert state.sysctls == {"kernel.ostype": "Linux"}


def test_state_of_stamps_and_of_the_journal(tmp_path: Path) -> None:
    (tmp_path / "stamps").mkdir()
    (tmp_path / "stamps/kubeadm-init").write_text("kubelab")
    lines = [{"event": "intent", "change": "file:/a"}, {"event": "done", "change": "file:/a"}]
    lines += [{"event": "intent", "change": "file:/b", "summary": "tabs\tand 'quotes' \\ stay"}]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    state = probe_state(FolderRunner(tmp_path), ["stamp:kubeadm-init", "stamp:absent"])
    assert state.stamps == {"kubeadm-init": "kubelab"}
    assert state.unfinished == {"file:/b"}


def test_state_of_units_and_images() -> None:
    text = "unit\tkubelet\tactive\tenabled\nimage\tlocalhost:5000/kubelab/pause:3\tsha256:1\t\n"
    state = parse_state(text)
    assert state.units == {"kubelet": ("active", "enabled")}
    assert state.images == {"localhost:5000/kubelab/pause:3": "sha256:1"}


def test_probes_write_nothing(tmp_path: Path) -> None:
    """A probe leaves neither files nor a changed time behind in what it looks at."""
    watched = tmp_path / "watched"
    watched.write_text("as it was")
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}
    probe_host(LocalRunner())
    probe_state(FolderRunner(tmp_path), [f"file:{watched}", "stamp:any", "images:", "sysctl:kernel.ostype"])
    assert {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]} == before


@pytest.mark.parametrize(
    ("lines", "unfinished"),
    [
        ([], set()),
        (['{"event": "intent", "change": "a"}'], {"a"}),
        (['{"event": "intent", "change": "a"}', '{"event": "done", "change": "a"}'], set()),
        (['{"event": "done", "change": "a"}', '{"event": "intent", "change": "a"}'], {"a"}),
        (['{"event": "intent", "change": "a"}', '{"event": "done", "cha'], {"a"}),
        (['{"event": "intent", "change": "a"}', "", "null", "[1]", '{"event": "done"}'], {"a"}),
    ],
)
def test_unfinished_changes(lines: list[str], unfinished: set[str]) -> None:
    """A line that a crash cut off says nothing, so that the intent before it stands."""
    assert read_ledger(lines).unfinished == unfinished


NFT_CHAINS = """table inet wall {
\tchain in {
\t\ttype filter hook input priority filter; policy drop;
\t}
\tchain ours {
\t}
\tchain forward {
\t\ttype filter hook forward priority 0; policy drop;
\t}
}
table ip nat {
\tchain POSTROUTING {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t}
}
"""
NFT_TABLE = """table inet wall {
\tchain in {
\t\ttype filter hook input priority 0; policy drop;
\t\tct state established,related accept
\t\ttcp dport { 22, 6443, 30000-32767 } ct state new counter packets 1 bytes 60 accept
\t\tudp dport 8472 accept
\t\ttcp dport 23 drop
\t}
}
"""
IPTABLES_INPUT = """-P INPUT DROP
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -p udp -m multiport --dports 8472,51820 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 23 -j DROP
"""


def probe_with(folder: Path, **programs: str) -> list[str]:
    """Run the host's probe as if root had these programs, sh texts, and return what it says of the packet filter.

    The kernel is one without modules to load, so that every filter is in it.
    """
    for name, text in {"id": "echo 0", "uname": "echo none", **programs}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    hidden = "command() { case $2 in nft|iptables|iptables-legacy) [ -e "
    hidden += f'"{folder}/$2" ];; *) type "$2" >/dev/null 2>&1;; esac; }}; '
    command = probe_command("host")
    argv = (*command.argv[:2], hidden + command.argv[2], *command.argv[3:])
    environment = (("PATH", f"{folder}:{os.environ['PATH']}"),)
    text = LocalRunner().check(dataclasses.replace(command, argv=argv, env=environment)).text
    return [line for line in text.splitlines() if line.startswith(("base_chain\t", "accepted\t"))]


def shown(text: str) -> str:
    return f"cat <<'END'\n{text}END"


def test_what_nft_says_of_policies_and_of_accepted_ports(tmp_path: Path) -> None:
    table = f'"-n list table inet wall") {shown(NFT_TABLE)}'
    nft = f'case "$*" in "list chains") {shown(NFT_CHAINS)}\n;; {table}\n;; *) exit 1;; esac'
    facts = probe_with(tmp_path, nft=nft, iptables="exit 9")
    assert facts == [
        "base_chain\tinet wall in input drop",
        "base_chain\tinet wall forward forward drop",
        "base_chain\tip nat POSTROUTING postrouting accept",
        "accepted\ttcp 22,6443,30000-32767",
        "accepted\tudp 8472",
    ]


def test_what_iptables_says_where_there_is_no_nft(tmp_path: Path) -> None:
    iptables = (
        f'case "$4" in INPUT) {shown(IPTABLES_INPUT)}\n;; *) echo "-P FORWARD DROP"; echo "-A FORWARD -j ACCEPT";; esac'
    )
    assert probe_with(tmp_path, iptables=iptables) == [
        "base_chain\tip filter INPUT input drop",
        "accepted\ttcp 22",
        "accepted\tudp 8472,51820",
        "base_chain\tip filter FORWARD forward drop",
    ]


def test_only_root_asks_the_packet_filter(tmp_path: Path) -> None:
    assert probe_with(tmp_path, id="echo 1000", nft=shown(NFT_CHAINS)) == []
    facts = parse_facts(
        (RECORDED / "new-node.txt").read_text()
        + "base_chain\tip filter FORWARD forward drop\nbase_chain\tip filter FORWARD forward drop\naccepted\ttcp 22\n"
    )
    assert (facts.base_chains, facts.accepted_ports) == (("ip filter FORWARD forward drop",), ("tcp 22",))
