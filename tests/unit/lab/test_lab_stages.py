"""Stages run in order; what other checkouts made is recognised; a bundle carries what images are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers.cluster import nodes
from kubelab_helpers.cluster.nodes import NodeState
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.lab import cluster
from kubelab_helpers.lab.bundle import create_bundle
from kubelab_helpers.lab.context import PARTS, Lab
from kubelab_helpers.lab.stages import STAGES, Stage, run_stages
from kubelab_helpers.result import Outcome

from .support import Remembering, make_lab


def stage(name: str, error: KubelabError | None = None) -> Stage:
    def run(_: Lab) -> tuple[Outcome, str]:
        if error:
            raise error
        return Outcome.CHANGED, "detail"

    return Stage(name, "title", run)


def ended(lab: Lab) -> list[tuple[str, Outcome]]:
    assert isinstance(lab.reporter, Remembering)
    return lab.reporter.ended


def test_stages_run_in_order(tmp_path: Path) -> None:
    results = run_stages(make_lab(tmp_path), [stage("one"), stage("two")])
    assert [(each.name, each.outcome, each.detail) for each in results] == [
        ("one", Outcome.CHANGED, "detail"),
        ("two", Outcome.CHANGED, "detail"),
    ]


@pytest.mark.parametrize(
    ("error", "outcome"), [(KubelabError("broken"), Outcome.FAILED), (BlockedError("taken"), Outcome.BLOCKED)]
)
def test_the_first_error_ends_it_and_its_stage_is_shown(tmp_path: Path, error: KubelabError, outcome: Outcome) -> None:
    lab = make_lab(tmp_path)
    with pytest.raises(KubelabError) as caught:
        run_stages(lab, [stage("one"), stage("two", error), stage("three")])
    assert caught.value is error
    assert [each for each in ended(lab) if each[0] in {"one", "two", "three"}] == [
        ("one", Outcome.CHANGED),
        ("two", outcome),
    ]


def test_every_stage_has_its_own_name_and_title() -> None:
    assert len({each.name for each in STAGES}) == len({each.title for each in STAGES}) == len(STAGES)


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what was removed, on an engine that knows every image and has no cluster until a test says so."""
    removed: list[str] = []
    monkeypatch.setattr(nodes, "_image_id", lambda *_: "sha256:1")
    monkeypatch.setattr(nodes, "remove_cluster", lambda _, name: removed.append(name))
    monkeypatch.setattr(nodes, "ensure_network", lambda *_: Outcome.UNCHANGED)
    monkeypatch.setattr(nodes, "ensure_node", lambda *_: Outcome.UNCHANGED)
    return removed


def give_nodes(monkeypatch: pytest.MonkeyPatch, lab: Lab, *, owner: str, image_id: str) -> None:
    wanted = [lab.container(host, cluster.node_image()) for host in lab.spec.hosts]
    states = {
        each.container_name: NodeState(each.container_name, "running", owner, each.input_hash(image_id))
        for each in wanted
    }
    monkeypatch.setattr(nodes, "list_nodes", lambda *_: states)


def test_a_cluster_of_the_same_inputs_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_nodes: list[str]
) -> None:
    """Whichever checkout made it: the input hash decides, not the owner."""
    lab = make_lab(tmp_path)
    give_nodes(monkeypatch, lab, owner="another", image_id="sha256:1")
    assert cluster.ensure_nodes(lab) == (Outcome.UNCHANGED, "2 nodes")
    assert two_nodes == []


@pytest.mark.parametrize(("owner", "whose"), [("another", "another checkout"), ("", "this checkout")])
def test_a_cluster_of_other_inputs_is_not_replaced_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_nodes: list[str], owner: str, whose: str
) -> None:
    lab = make_lab(tmp_path)
    give_nodes(monkeypatch, lab, owner=owner or lab.owner, image_id="sha256:2")
    with pytest.raises(BlockedError, match=rf"made by {whose} from other inputs \(kubelab-control-1, ") as caught:
        cluster.ensure_nodes(lab)
    assert "kubelab up --replace" in caught.value.next_step
    assert two_nodes == []


def test_a_cluster_of_other_inputs_is_replaced_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_nodes: list[str]
) -> None:
    lab = make_lab(tmp_path, replace=True)
    give_nodes(monkeypatch, lab, owner="another", image_id="sha256:2")
    assert cluster.ensure_nodes(lab)[1] == "replaced a cluster made from other inputs"
    assert two_nodes == ["kubelab"]


def test_only_the_control_plane_publishes_ports(tmp_path: Path) -> None:
    lab = make_lab(tmp_path)
    control, worker = (lab.container(host, "image") for host in lab.spec.hosts)
    assert [(port.name, port.node_port, port.machine_port) for port in control.ports] == [
        ("api", 6443, 6443),
        ("http", 30080, 30080),
        ("https", 30443, 30443),
    ]
    assert worker.ports == ()


@pytest.mark.parametrize("target", ["there", "absent/parts.tar"])
def test_a_bundle_is_not_written_over_or_into_nothing(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(KubelabError) as caught:
        create_bundle(make_lab(tmp_path), tmp_path / target)
    assert caught.value.next_step


def test_a_bundle_can_be_taken_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bundle create` and the source `bundle` agree: what one writes the other verifies and reads."""
    from kubelab_helpers.artifacts import bundle

    lab = make_lab(tmp_path)
    part = tmp_path / "part"
    part.write_bytes(b"content")

    def fetch(names: list[str], _: Any) -> dict[str, Path]:
        return dict.fromkeys(names, part)

    monkeypatch.setattr(lab.store, "fetch", fetch)
    names = create_bundle(lab, tmp_path / "parts.tar", with_hub=False)
    catalog = lab.store.catalog
    needed = {part for name in PARTS for part in (name, *catalog.get(name).dependencies)}
    assert set(names) >= {name for name in needed if catalog.get(name).kind != "image"}
    assert len(names) == len(set(names))
    target = tmp_path / "taken"
    bundle.produce(catalog.get("runc"), catalog.key("runc"), tmp_path / "parts.tar", target)
    assert target.read_bytes() == b"content"
