"""Each kind of change: when it is so already, what it looks at, and which commands make it so."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from kubelab_helpers.hosts.change import Action, Change, Correction, stamp_of
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import Directory, File, Program
from kubelab_helpers.hosts.image import Image, PulledImage
from kubelab_helpers.hosts.kernel import Sysctl
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.state import FileState, HostState

SHA = hashlib.sha256(b"text").hexdigest()
DIGEST = "sha256:" + "1" * 64

FILE = File("/etc/x", b"text", mode=0o600, owner="1:2")
PROGRAM = Program("/bin/x", Path("/parts/x"), SHA)
DIRECTORY = Directory("/srv", mode=0o750, owner="1000:1000")
SYSCTL = Sysctl("net.ipv4.ip_forward", "1")
UNIT = Unit("containerd", "s1")
LATER = Unit("kubelet", "s1", start=False)
IMAGE = Image("localhost:5000/kubelab/pause:3", DIGEST, Path("/parts/pause"))
PULLED = PulledImage(f"localhost:5000/kubelab/notebook@{DIGEST}", DIGEST, "localhost:5000/kubelab/notebook:1")
ACTION = Action(
    "kubeadm-init", "kubeadm init", "kubelab", (Command(("kubeadm", "init")),), guards=("/etc/kubernetes/admin.conf",)
)


def files(path: str, *values: str) -> HostState:
    return HostState(files={path: FileState(*values)})


def units(name: str, active: str, enabled: str, stamp: str) -> HostState:
    return HostState(units={name: (active, enabled)}, stamps={f"unit-{name}": stamp})


@pytest.mark.parametrize(
    ("change", "state", "satisfied"),
    [
        (FILE, files("/etc/x", SHA, "600", "1:2"), True),
        (FILE, files("/etc/x", "0" * 64, "600", "1:2"), False),
        (FILE, files("/etc/x", SHA, "644", "1:2"), False),
        (FILE, files("/etc/x", SHA, "600", "0:0"), False),
        (PROGRAM, files("/bin/x", SHA, "755", "0:0"), True),
        (PROGRAM, files("/bin/x", SHA, "644", "0:0"), False),
        (PROGRAM, files("/bin/x", "0" * 64, "755", "0:0"), False),
        (DIRECTORY, files("/srv", "directory", "750", "1000:1000"), True),
        (DIRECTORY, files("/srv", "directory", "755", "1000:1000"), False),
        (DIRECTORY, files("/srv", SHA, "750", "1000:1000"), False),
        (SYSCTL, HostState(sysctls={"net.ipv4.ip_forward": "1"}), True),
        (SYSCTL, HostState(sysctls={"net.ipv4.ip_forward": "0"}), False),
        (UNIT, units("containerd", "active", "enabled", "s1"), True),
        (UNIT, units("containerd", "activating", "enabled", "s1"), True),
        (UNIT, units("containerd", "failed", "enabled", "s1"), False),
        (UNIT, units("containerd", "active", "disabled", "s1"), False),
        (UNIT, units("containerd", "active", "enabled", "s0"), False),
        (LATER, units("kubelet", "inactive", "enabled", "s1"), True),
        (LATER, units("kubelet", "inactive", "disabled", "s1"), False),
        (IMAGE, HostState(images={IMAGE.reference: DIGEST}), True),
        (IMAGE, HostState(images={IMAGE.reference: "sha256:0"}), False),
        (PULLED, HostState(images={PULLED.reference: DIGEST}), True),
        (PULLED, HostState(images={PULLED.title: DIGEST}), False),
        (ACTION, HostState(stamps={"kubeadm-init": "kubelab"}), True),
        (ACTION, HostState(stamps={"kubeadm-init": "other"}), False),
        (Correction("swap", "turn swap off", ()), HostState(), False),
    ],
)
def test_satisfied_by(change: Change, state: HostState, satisfied: bool) -> None:
    assert change.satisfied_by(state) is satisfied


@pytest.mark.parametrize("change", [FILE, PROGRAM, DIRECTORY, SYSCTL, UNIT, LATER, IMAGE, PULLED, ACTION])
def test_an_empty_host_satisfies_nothing(change: Change) -> None:
    assert not change.satisfied_by(HostState())


@pytest.mark.parametrize(
    ("change", "watched"),
    [
        (FILE, ("file:/etc", "file:/etc/x")),
        (PROGRAM, ("file:/bin", "file:/bin/x")),
        (DIRECTORY, ("file:/srv",)),
        (SYSCTL, ("sysctl:net.ipv4.ip_forward",)),
        (UNIT, ("unit:containerd", "stamp:unit-containerd")),
        (IMAGE, ("images:",)),
        (PULLED, ("images:",)),
        (ACTION, ("stamp:kubeadm-init", "file:/etc/kubernetes/admin.conf")),
    ],
)
def test_watched(change: Change, watched: tuple[str, ...]) -> None:
    assert change.watched == watched


@pytest.mark.parametrize(
    ("change", "commands"),
    [
        (DIRECTORY, ["install -d -m 750 -o 1000 -g 1000 /srv"]),
        (
            UNIT,
            [
                "systemctl daemon-reload",
                "systemctl enable containerd",
                "systemctl restart containerd",
                "stamp unit-containerd",
            ],
        ),
        (
            LATER,
            [
                "systemctl daemon-reload",
                "systemctl enable kubelet",
                "systemctl try-restart kubelet",
                "stamp unit-kubelet",
            ],
        ),
        (
            IMAGE,
            [
                "ctr --namespace k8s.io images import -",
                f"ctr --namespace k8s.io images label {IMAGE.reference} io.cri-containerd.pinned=pinned",
            ],
        ),
        (PULLED, [f"ctr --namespace=k8s.io images pull --hosts-dir=/etc/containerd/certs.d {PULLED.reference}"]),
        (ACTION, ["kubeadm init", "stamp kubeadm-init"]),
    ],
)
def test_operations(change: Change, commands: list[str]) -> None:
    """A unit's and an action's stamp is written last, so that what was cut off before it is made again."""

    def name(command: Command) -> str:
        wrote = [word for word in command.argv if word.startswith("/var/lib/kubelab/stamps/")]
        return f"stamp {Path(wrote[0]).name}" if wrote else str(command)

    assert [name(each) for each in change.operations()] == commands


def test_a_file_travels_on_stdin() -> None:
    (command,) = FILE.operations()
    assert command.stdin == b"text"
    assert command.argv[-4:] == ("/etc/x", "600", "1:2", "4")
    assert "text" not in str(command)


def test_a_program_is_sent_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"program")
    (command,) = dataclasses.replace(PROGRAM, local=tmp_path / "x").operations()
    assert command.stdin_path == tmp_path / "x"
    assert command.argv[-4:] == ("/bin/x", "755", "0:0", "7")


def test_a_guarded_action_is_refused_over_what_is_not_ours() -> None:
    theirs = files("/etc/kubernetes/admin.conf", SHA, "600", "0:0")
    assert ACTION.refused_by(theirs) == "/etc/kubernetes/admin.conf is there already and kubelab did not make it"
    assert ACTION.refused_by(HostState()) is None


@pytest.mark.parametrize(
    "ours", [{"stamps": {"kubeadm-init": "kubelab"}}, {"unfinished": frozenset({"action:kubeadm-init"})}]
)
def test_a_guarded_action_may_go_on_with_its_own(ours: dict[str, object]) -> None:
    state = HostState(files={"/etc/kubernetes/admin.conf": FileState(SHA, "600", "0:0")}, **ours)  # type: ignore[arg-type]
    assert ACTION.refused_by(state) is None


def test_a_node_of_one_cluster_is_not_made_one_of_another() -> None:
    """Else the attempt would fail, and what clears a failed one would take the living cluster down."""
    state = HostState(
        files={"/etc/kubernetes/admin.conf": FileState(SHA, "600", "0:0")}, stamps={"kubeadm-init": "older"}
    )
    assert ACTION.refused_by(state) == "this host belongs to older, not to kubelab"


@pytest.mark.parametrize("change", [FILE, PROGRAM])
def test_a_file_is_not_put_where_a_directory_is(change: File | Program) -> None:
    reason = change.refused_by(files(change.path, "directory", "755", "0:0"))
    assert reason == f"{change.path} is a directory"
    assert change.refused_by(files(change.path, SHA, "755", "0:0")) is None


def test_content_and_commands_are_not_in_what_is_shown() -> None:
    secret = File("/etc/secret", b"hunter2")
    action = Action("join", "join", "1", (Command(("kubeadm",), stdin=b"hunter2", secrets=("hunter2",)),))
    assert "hunter2" not in f"{secret!r} {secret.summary} {action!r} {action.summary} {action.commands[0]!r}"


def test_a_stamp_depends_on_every_part_and_its_border() -> None:
    assert stamp_of("ab", "c") != stamp_of("a", "bc")
    assert stamp_of(b"ab", "c") == stamp_of("ab", b"c")
