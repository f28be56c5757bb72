"""The probes' output becomes facts and state; the probes themselves run on this machine's own `sh`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.facts import parse_facts, probe_host
from kubelab_helpers.hosts.ledger import read_ledger
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
