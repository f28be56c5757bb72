# ruff: noqa: D102  the runner has the methods of hosts.runner.Runner
"""What users' servers start from, on the nodes: what goes where, and one failure keeps nothing else from its place."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster.placement import Placement
from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.errors import BlockedError, ExitStatus, InvalidInputError, KubelabError
from kubelab_helpers.hosts.command import Command, CommandError, Completed
from kubelab_helpers.hosts.image import PulledImage
from kubelab_helpers.lab import joining, prepull, pulling, release
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.pulling import Pull, find_pull, find_remedy, pull_images
from kubelab_helpers.lab.stages import HUB_STAGES, require_success
from kubelab_helpers.release import deploy
from kubelab_helpers.result import Outcome, StageResult

from ..hosts.support import RECORDED, node_spec
from .support import Remembering, make_lab, over_ssh

DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "de")
SPEC = LabSpec(
    hosts=(over_ssh("head", 1), over_ssh("one", 2, "worker"), over_ssh("two", 3, "worker")), pythons=("3.11", "3.13")
)
HEAD, ONE, TWO = SPEC.hosts
OLD, NEW = (f"{IMAGE_PREFIX}/notebook:0.1.0-py{version}" for version in ("3.11", "3.13"))
FOREIGN = "quay.io/some/image:1"
# As containerd 2.4.2 said them.
REFUSED = (
    'time="2026-11-25T22:41:59Z" level=warning msg="DEPRECATION: cgroup v1"\n'
    'ctr: failed to resolve image: failed to do request: Head "http://192.0.2.1:5000/v2/kubelab/notebook/manifests/'
    'sha256:d?ns=localhost%3A5000": dial tcp 192.0.2.1:5000: connect: connection refused\n'
)
FULL = "ctr: failed to copy: write /var/lib/containerd/ingest/1c36/data: no space left on device\n"


def image(title: str) -> PulledImage:
    found = find_pull(f"{title}@{DIGEST}", {})
    assert found
    return found


@dataclass
class Containerd:
    """A host with containerd: `refusals` are what it says instead of pulling, by a word of the reference."""

    name: str
    has: set[str] = field(default_factory=set)
    refusals: dict[str, str] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)

    def run(self, command: Command) -> Completed:
        try:
            return self.check(command)
        except CommandError as error:
            return error.completed

    def check(self, command: Command) -> Completed:
        return Completed(command, 0, self._answer(command), b"")

    def _answer(self, command: Command) -> bytes:
        match command.argv:
            case ("ctr", _, "images", "pull", _, reference):
                self._pull(command, reference)
            case ("sh", "-c", _, "host"):
                return (RECORDED / "machine.txt").read_bytes()
            case ("sh", "-c", _, "state", *_):
                lines = [f"image\t{each}\t{each.partition('@')[2] or DIGEST}\t" for each in sorted(self.has)]
                return "\n".join([*lines, *(f"journal\t{each}" for each in self.journal), ""]).encode()
            case ("sh", "-c", _, "journal", *_):
                self.journal += (command.stdin or b"").decode().splitlines()
            case _:
                pytest.fail(f"{command} is none of its business")
        return b""

    def _pull(self, command: Command, reference: str) -> None:
        said = next((text for word, text in self.refusals.items() if word in reference), "")
        if said:
            raise CommandError(Completed(command, 1, b"", said.encode()), self.name)
        self.pulled.append(reference)
        self.has.add(reference)

    @property
    def events(self) -> list[str]:
        return [json.loads(each)["event"] for each in self.journal]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab of a control plane and two workers, whose images are pushed."""
    lab = make_lab(tmp_path, SPEC)
    lab.folder.mkdir()
    names = ("provisioner", "proxy", "hub", "notebook-py3.11", "notebook-py3.13")
    lab.digests_file.write_text(json.dumps(dict.fromkeys(names, DIGEST)))
    lab._runners.update({host.name: Containerd(host.name) for host in SPEC.hosts})
    monkeypatch.setattr(Lab, "parts", lambda _: {})
    monkeypatch.setattr(Lab, "node", lambda _, host, __: node_spec(name=host.name))
    return lab


def host_of(lab: Lab, host: HostSpec) -> Containerd:
    runner = lab.runner(host)
    assert isinstance(runner, Containerd)
    return runner


def give_nodes(monkeypatch: pytest.MonkeyPatch, placements: list[Placement], **labels: dict[str, str]) -> None:
    """Let the cluster have the three hosts as kubeadm makes them, with these labels."""
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    items = [
        {
            "metadata": {"name": host.name, "labels": labels.get(host.name, {})},
            "spec": {"taints": [taint]} if host is HEAD else {},
        }
        for host in SPEC.hosts
    ]
    monkeypatch.setattr(prepull, "find_acting", lambda _: None)
    monkeypatch.setattr(prepull, "read_items", lambda *_: items)
    monkeypatch.setattr(prepull, "read_placements", lambda _: placements)


PLACEMENTS = [
    Placement((f"{NEW}@{DIGEST}", f"{OLD}@{OTHER}", FOREIGN)),
    Placement((NEW,), {"disk": "fast"}),
]


@pytest.mark.parametrize(
    ("asked", "reference"),
    [
        (f"{NEW}@{DIGEST}", f"{IMAGE_PREFIX}/notebook@{DIGEST}"),
        (NEW, NEW),
        (f"localhost:5000/teaching/statistics:2026.2@{DIGEST}", f"localhost:5000/teaching/statistics@{DIGEST}"),
        ("localhost:5000/teaching/statistics:2026.2", None),
        (f"quay.io/some/image:1@{DIGEST}", None),
    ],
)
def test_an_image_is_pulled_under_the_name_by_which_kubelet_asks(asked: str, reference: str | None) -> None:
    """Without a digest that is known, nobody could say whether a node has it already."""
    found = find_pull(asked, {NEW: DIGEST})
    assert (found.reference if found else None) == reference
    assert found is None or found.digest == DIGEST


def test_images_go_only_where_a_server_may_start(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not onto the control plane, and a profile's own only where its selector leads."""
    give_nodes(monkeypatch, PLACEMENTS, two={"disk": "fast"})
    decided = prepull.decide_pulls(lab)
    titles = {host.name: [each.reference for each in found] for host, found in decided.wanted.items()}
    by_digest = [f"{IMAGE_PREFIX}/notebook@{digest}" for digest in (DIGEST, OTHER)]
    assert titles == {"one": by_digest, "two": [*by_digest, NEW]}
    assert decided.others == (FOREIGN,)


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["notebook-py3.11"], [OLD]),
        (["notebook"], [NEW, OLD]),
        ([OLD], [OLD]),
        (["notebook-py3.11", "notebook-py3.13"], [NEW, OLD]),
    ],
)
def test_images_can_be_named(lab: Lab, monkeypatch: pytest.MonkeyPatch, names: list[str], titles: list[str]) -> None:
    give_nodes(monkeypatch, PLACEMENTS)
    wanted = prepull.decide_pulls(lab, ["one"], names).wanted
    assert {host.name: [each.title for each in found] for host, found in wanted.items()} == {"one": titles}


@pytest.mark.parametrize(
    ("nodes", "names", "said", "next_step"),
    [
        (["onee"], [], "kubelab.yaml has no host onee; did you mean one?", "choose among head, one, two"),
        (
            [],
            ["notebook-py3.12"],
            r"no user's server of this lab starts from notebook-py3.12; did you",
            "notebook-py3.11",
        ),
        ([], ["hub"], "no user's server of this lab starts from hub", "notebook-py3.11"),
        (["head"], [], "no user's server may run on head: no profile selects it, or tolerates", "among one, two"),
    ],
)
def test_what_cannot_be_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, nodes: list[str], names: list[str], said: str, next_step: str
) -> None:
    give_nodes(monkeypatch, PLACEMENTS)
    with pytest.raises(InvalidInputError, match=said) as caught:
        prepull.decide_pulls(lab, nodes, names)
    assert next_step in caught.value.next_step
    assert all(host_of(lab, host).journal == [] for host in SPEC.hosts)


def test_a_host_that_has_not_joined_yet_is_no_node(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    give_nodes(monkeypatch, PLACEMENTS)
    three = over_ssh("three", 4, "worker")
    lab.spec = dataclasses.replace(SPEC, hosts=(*SPEC.hosts, three))
    with pytest.raises(BlockedError, match="not in the cluster yet: three") as caught:
        prepull.decide_pulls(lab, ["three"])
    assert caught.value.next_step == "kubelab cluster add three"
    assert three not in prepull.decide_pulls(lab).wanted


def test_without_images_nothing_can_be_pulled(lab: Lab) -> None:
    lab.digests_file.unlink()
    with pytest.raises(BlockedError, match="no image of this lab has been pushed from here yet") as caught:
        prepull.decide_pulls(lab)
    assert "kubelab up" in caught.value.next_step


def test_the_chart_says_what_goes_where_also_where_its_own_puller_is_off(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.spec = dataclasses.replace(SPEC, values={"prePuller": {"continuous": {"enabled": False}}})
    given: dict[str, Any] = {}

    def render(_: str, __: str, ___: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
        given.update(values)
        labels = {"app.kubernetes.io/component": "image-puller"}
        pod = {"spec": {"initContainers": [{"image": NEW}], "nodeSelector": {"a": "b"}}}
        puller = {"kind": "DaemonSet", "metadata": {"labels": labels}, "spec": {"template": pod}}
        return [{"kind": "Service", "metadata": {}}, {**puller, "metadata": {"labels": {}}}, puller]

    monkeypatch.setattr(release, "helm_of", lambda _: SimpleNamespace(render=render))
    assert prepull.read_placements(lab) == [Placement((NEW,), {"a": "b"})]
    assert given["prePuller"]["continuous"]["enabled"] is True


def test_only_what_a_node_lacks_is_pulled(lab: Lab) -> None:
    """A second time nothing is; an image that is gone is pulled anew, whatever the journal says."""
    one = host_of(lab, ONE)
    wanted = {ONE: (image(NEW), PulledImage(OLD, DIGEST, OLD))}
    one.has = {f"{IMAGE_PREFIX}/notebook@{DIGEST}"}
    assert [(each.image, each.changed) for each in pull_images(lab, wanted)] == [(NEW, False), (OLD, True)]
    assert (one.pulled, one.events) == ([OLD], ["run", "intent", "done"])
    assert [each.changed for each in pull_images(lab, wanted)] == [False, False]
    one.has.remove(OLD)
    assert [(each.image, each.changed) for each in pulling.find_missing(lab, wanted)] == [(OLD, True)]
    assert one.pulled == [OLD]
    assert [(each.image, each.changed) for each in pull_images(lab, wanted)] == [(NEW, False), (OLD, True)]


def test_the_command_ends_its_run_where_all_went_well(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the other node the next one goes on with it."""
    give_nodes(monkeypatch, PLACEMENTS[:1])
    one, two = host_of(lab, ONE), host_of(lab, TWO)
    one.refusals = {"notebook": FULL}
    decided, pulls = prepull.prepull_by_name(lab, (), ["notebook-py3.13"])
    assert (list(decided.wanted), [bool(each.problem) for each in pulls]) == ([ONE, TWO], [True, False])
    assert (one.events, two.events) == (["run", "intent"], ["run", "intent", "done", "end"])
    one.refusals = {}
    prepull.prepull_by_name(lab)
    assert (one.events.count("run"), one.events[-2:]) == (1, ["done", "end"])


def test_a_failure_keeps_no_other_image_and_no_other_node_from_theirs(lab: Lab) -> None:
    one, two = host_of(lab, ONE), host_of(lab, TWO)
    one.refusals = {OLD: FULL}
    wanted = {ONE: (PulledImage(OLD, DIGEST, OLD), image(NEW)), TWO: (PulledImage(OLD, DIGEST, OLD), image(NEW))}
    pulls = pull_images(lab, wanted)
    problems = {(each.node, each.image): each.problem for each in pulls}
    assert problems == {
        ("one", OLD): "failed to copy: write /var/lib/containerd/ingest/1c36/data: no space left on device",
        ("one", NEW): "",
        ("two", OLD): "",
        ("two", NEW): "",
    }
    assert [(each.node, each.changed) for each in pulls] == [
        ("one", False),
        ("one", True),
        ("two", True),
        ("two", True),
    ]
    assert isinstance(lab.reporter, Remembering)
    assert sorted(lab.reporter.ended) == [("images on one", Outcome.FAILED), ("images on two", Outcome.CHANGED)]
    assert len(two.pulled) == 2
    one.refusals = {}
    assert [(each.image, each.changed) for each in pull_images(lab, {ONE: wanted[ONE]})] == [(NEW, False), (OLD, True)]


def test_a_host_that_is_not_reached_is_told_for_each_image(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: Command) -> Completed:
        raise KubelabError(f"one is not reached: {len(command.argv)}\nconnection timed out")

    monkeypatch.setattr(host_of(lab, ONE), "check", refuse)
    pulls = pull_images(lab, {ONE: (image(NEW), image(OLD)), TWO: (image(NEW),)})
    assert [(each.node, each.problem) for each in pulls] == [
        ("one", "connection timed out"),
        ("one", "connection timed out"),
        ("two", ""),
    ]


def test_no_more_than_a_few_nodes_pull_at_a_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def for_each(hosts: list[HostSpec], work: Any, *, at_once: int, stop: Any) -> list[Any]:
        asked.append(at_once)
        assert not stop.is_set()
        return [work(host) for host in hosts]

    monkeypatch.setattr(pulling, "for_each", for_each)
    pull_images(lab, {ONE: (image(NEW),), TWO: (image(NEW),)})
    assert asked == [pulling.HOSTS_AT_ONCE]


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (FULL, "make room on one: `df -h /var/lib/containerd` there"),
        (REFUSED, "see whether the registry runs and one reaches it: `kubelab registry status`"),
        ("ctr: dial tcp 192.0.2.1:5000: i/o timeout", "see whether the registry runs"),
        (
            "ctr: failed to resolve image: localhost:5000/kubelab/x@sha256:1: not found",
            "`kubelab up` builds and pushes",
        ),
        ("tls: failed to verify certificate: x509: unknown authority", "let one trust who signed"),
        ("something else", "mend what is named on one"),
    ],
)
def test_each_reason_has_its_remedy(lab: Lab, said: str, remedy: str) -> None:
    host_of(lab, ONE).refusals = {"notebook": said}
    (pull,) = pull_images(lab, {ONE: (image(NEW),)})
    assert pull.problem == said.strip().splitlines()[-1].removeprefix("ctr: ")
    assert find_remedy(pull).startswith(remedy)


def test_the_error_tells_node_image_reason_and_how_to_try_again() -> None:
    pulls = [
        Pull("one", NEW, changed=False, problem="no space left on device"),
        Pull("two", NEW, changed=True),
        Pull("two", OLD, changed=False, problem="connection refused"),
    ]
    error = prepull.explain_failures(pulls)
    assert error is not None
    assert error.what.splitlines() == [f"one: {NEW}: no space left on device", f"two: {OLD}: connection refused"]
    assert error.repeat == "kubelab image prepull --node one --node two"
    assert "make room on one" in error.next_step
    assert "two reaches it" in error.next_step
    assert error.exit_status is ExitStatus.FAILED
    assert prepull.explain_failures(pulls[1:2]) is None


def test_up_goes_on_without_what_could_not_be_pulled_and_fails_at_its_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_nodes(monkeypatch, PLACEMENTS[:1])
    assert prepull.prepull_images(lab) == (Outcome.CHANGED, "4 pulls")
    assert prepull.prepull_images(lab) == (Outcome.UNCHANGED, "0 pulls")
    host_of(lab, TWO).has.clear()
    host_of(lab, TWO).refusals = {"notebook": FULL}
    outcome, detail = prepull.prepull_images(lab)
    assert (outcome, detail) == (Outcome.FAILED, "2 of 4 pulls; `kubelab image prepull` tries them again")
    with pytest.raises(KubelabError, match="all but this is done\nprepull: 2 of 4 pulls") as caught:
        require_success([StageResult("registry", Outcome.CHANGED, 1), StageResult("prepull", outcome, 1, detail)])
    assert caught.value.exit_status is ExitStatus.FAILED
    require_success([StageResult("registry", Outcome.CHANGED, 1)])


def test_images_are_on_the_nodes_before_the_chart_is_installed() -> None:
    """Else kubelet would pull and unpack the same at the same time."""
    names = [each.name for each in HUB_STAGES]
    assert names.index("delivery") < names.index("prepull") < names.index("release")


@pytest.mark.parametrize(("role", "pulled"), [("worker", [f"{IMAGE_PREFIX}/notebook@{DIGEST}"]), ("control-plane", [])])
def test_a_host_has_the_images_before_it_joins(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, role: Any, pulled: list[str]
) -> None:
    """By the pullers that run in the cluster, so that whoever adds a host need not have made the hub."""
    lab.digests_file.unlink()
    asked: list[tuple[str, ...]] = []

    def read_items(_: Any, *what: str) -> list[dict[str, Any]]:
        asked.append(what)
        pods = [
            {"initContainers": [{"image": f"{NEW}@{DIGEST}"}, {"image": FOREIGN}]},
            {"initContainers": [{"image": f"{OLD}@{OTHER}"}], "nodeSelector": {"disk": "fast"}},
        ]
        return [{"spec": {"template": {"spec": each}}} for each in pods]

    monkeypatch.setattr(joining, "read_items", read_items)
    three = over_ssh("three", 4, role)
    lab.spec = dataclasses.replace(SPEC, hosts=(*SPEC.hosts, three))
    lab._runners["three"] = Containerd("three")
    joining._pull_before(lab, lab.runner(HEAD), [three])
    assert host_of(lab, three).pulled == pulled
    selector = f"--selector={deploy.COMPONENT}={deploy.IMAGE_PULLER}"
    assert asked == [("daemonsets", f"--namespace={deploy.NAMESPACE}", selector)]


def test_a_pull_that_fails_keeps_no_host_from_joining(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One attempt, not one for every image: an address that nobody answers at takes half a minute each time."""
    pod = {"initContainers": [{"image": f"{NEW}@{DIGEST}"}, {"image": f"{OLD}@{OTHER}"}]}
    monkeypatch.setattr(joining, "read_items", lambda *_: [{"spec": {"template": {"spec": pod}}}])
    one = host_of(lab, ONE)
    one.refusals = {"notebook": REFUSED}
    joining._pull_before(lab, lab.runner(HEAD), [ONE])
    assert one.events.count("intent") == 1
    assert isinstance(lab.reporter, Remembering)
    assert lab.reporter.ended == [("images on one", Outcome.FAILED)]
