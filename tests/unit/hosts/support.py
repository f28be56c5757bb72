# ruff: noqa: D102  the runners have the methods of hosts.runner.Runner
"""What the tests of hosts share: recorded facts, a node's specification, and runners that work in a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.command import Command, Completed
from kubelab_helpers.hosts.distribution import load_distributions
from kubelab_helpers.hosts.facts import HostFacts, parse_facts
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.hosts.spec import LocalImage, LocalProgram, NodeSpec, RegistryMirror
from kubelab_helpers.hosts.steps.runtime import program_paths

RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "facts"
STATE_FOLDER = "/var/lib/kubelab"


def recorded_facts(name: str) -> HostFacts:
    """Return the facts of a recorded probe: machine, new-node or control-plane."""
    return parse_facts((RECORDED / f"{name}.txt").read_text())


def bare_host() -> HostFacts:
    """Return a host of the other kind: cgroup v2, modules to load, swap in use, systemd-resolved."""
    return dataclasses.replace(
        recorded_facts("new-node"),
        cgroup=2,
        can_lower_oom_score=True,
        modules_loadable=True,
        effects=frozenset(),
        swaps=("/dev/sda2",),
        nameservers=("127.0.0.53",),
        upstream_nameservers=("192.0.2.1",),
        writable=frozenset({"nf_conntrack_max"}),
        programs=recorded_facts("new-node").programs - {"ipset", "socat"},
    )


def node_spec(**changes: object) -> NodeSpec:
    """Return a worker as `kubelab up` describes it, with parts that nobody opens."""
    spec = NodeSpec(
        cluster="kubelab",
        name="worker-1",
        role="worker",
        address="172.30.250.11",
        control_plane_addresses=("172.30.250.10",),
        endpoint="kubelab.kubelab.internal:6443",
        kubernetes_version="1.37.2",
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/12",
        image_prefix="localhost:5000/kubelab",
        upstream_nameservers=("192.0.2.53",),
        mirrors=(RegistryMirror("localhost:5000", ("http://172.30.250.2:5000",)),),
        programs={name: LocalProgram(Path("/parts") / name, "a" * 64) for name in program_paths()},
        images=(LocalImage("localhost:5000/kubelab/pause:3.10.2", "sha256:" + "b" * 64, Path("/parts/pause")),),
        pause_image="localhost:5000/kubelab/pause:3.10.2",
        distributions=load_distributions(),
    )
    return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]  # the caller names fields of NodeSpec


class FolderRunner:
    """Runs real commands on this machine, with kubelab's own state in a folder instead of /var/lib/kubelab.

    Only the probe of the host itself is answered from a recording: it is the same each time, and the slowest.
    """

    def __init__(self, folder: Path) -> None:
        self.name = "folder"
        self._local = LocalRunner(self.name)
        self._folder = str(folder)

    def run(self, command: Command) -> Completed:
        argv = tuple(each.replace(STATE_FOLDER, self._folder) for each in command.argv)
        return self._local.run(dataclasses.replace(command, argv=argv))

    def check(self, command: Command) -> Completed:
        if command.argv[3:] == ("host",):
            return Completed(command, 0, (RECORDED / "machine.txt").read_bytes(), b"")
        argv = tuple(each.replace(STATE_FOLDER, self._folder) for each in command.argv)
        return self._local.check(dataclasses.replace(command, argv=argv))


class Killed(BaseException):
    """The process is gone, as after `kill -9`: nothing catches it."""


class DyingRunner:
    """Dies at its command number `lives`, counted from 0: before it, or, `torn`, with half of its input written."""

    def __init__(self, inner: FolderRunner, lives: int, torn: bool = False) -> None:
        self.name = inner.name
        self._inner = inner
        self._lives = lives
        self._torn = torn

    def _live(self, command: Command) -> None:
        if self._lives == 0:
            content = command.stdin_path.read_bytes() if command.stdin_path else command.stdin or b""
            assert not self._torn or content, "this command writes nothing"
            if self._torn:
                self._inner.run(dataclasses.replace(command, stdin=content[: len(content) // 2], stdin_path=None))
            raise Killed
        self._lives -= 1

    def run(self, command: Command) -> Completed:
        self._live(command)
        return self._inner.run(command)

    def check(self, command: Command) -> Completed:
        self._live(command)
        return self._inner.check(command)


@dataclass
class Answering:
    """Answers each command by a function, and remembers what it was asked."""

    answer: Callable[[Command], bytes]
    name: str = "answering"
    asked: list[Command] = field(default_factory=list)

    def run(self, command: Command) -> Completed:
        self.asked.append(command)
        return Completed(command, 0, self.answer(command), b"")

    def check(self, command: Command) -> Completed:
        return self.run(command)


@dataclass
class Refusing:
    """Fails every command whose argv has this word, with what the program said."""

    inner: FolderRunner
    word: str
    said: str = ""

    @property
    def name(self) -> str:
        return self.inner.name

    def run(self, command: Command) -> Completed:
        return self.inner.run(command)

    def check(self, command: Command) -> Completed:
        if self.word in " ".join(command.argv):
            raise KubelabError(command.redact(self.said), repeat=str(command))
        return self.inner.check(command)


def ids(changes: Sequence[object]) -> list[str]:
    """Return the ids of planned or desired changes."""
    return [getattr(each, "change", each).id for each in changes]  # type: ignore[attr-defined]  # both have one
