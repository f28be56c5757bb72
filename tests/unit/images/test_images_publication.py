# ruff: noqa: D102  the double has the methods of what it stands for
"""A tag that exists with other content is not replaced silently; the lab's own registry moves on with its builds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubelab_helpers.errors import BlockedError, InvalidInputError, KubelabError, PartlyDoneError
from kubelab_helpers.images import publication
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.publication import Candidate, PublishedImage, publish, require_target
from kubelab_helpers.images.push import PushedImage
from kubelab_helpers.images.remote import StoredConfiguration
from kubelab_helpers.result import SilentReporter

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
OWN, ELSEWHERE = "localhost:5000/kubelab", "registry.example/team"
HUB = {"io.kubelab.input-hash": "1", "org.opencontainers.image.title": "kubelab hub"}
OLDER_HUB = {**HUB, "io.kubelab.input-hash": "0"}


class World:
    """A registry by reference: manifest digest and configuration; and what was pushed into it."""

    def __init__(self, stored: dict[str, StoredConfiguration], *, runs: bool = True, broken: str = "") -> None:
        self.stored, self.runs, self.broken = stored, runs, broken
        self.pushed: list[str] = []

    def image_digest(self, _: Any, reference: str, **__: Any) -> str | None:
        return OLD if reference in self.stored else None

    def read_configuration(self, _: Any, reference: str, digest: str, **__: Any) -> StoredConfiguration:
        assert digest == OLD
        return self.stored[reference]

    def push(self, _: Any, reference: str, *__: Any, **___: Any) -> PushedImage:
        if reference == self.broken:
            raise KubelabError(f"{reference} was not pushed: connection refused", next_step="see that it runs")
        self.pushed.append(reference)
        return PushedImage(reference, NEW, True)

    def registry_state(self, _: Any) -> Any:
        return SimpleNamespace(is_running=True) if self.runs else None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(stored: dict[str, StoredConfiguration] | None = None, **more: Any) -> World:
        made = World(stored or {}, **more)
        for name in ("image_digest", "read_configuration", "push", "registry_state"):
            monkeypatch.setattr(publication, name, getattr(made, name))
        return made

    return make


def candidate(prefix: str, name: str = "hub", labels: dict[str, str] = HUB, digests: tuple[str, ...] = ()) -> Candidate:
    image = SimpleNamespace(id=f"sha256:{name}", labels=labels, attrs={"RepoDigests": list(digests)})
    return Candidate(name, f"{prefix}/{name}:1", image)


def run(*candidates: Candidate, **more: Any) -> list[PublishedImage]:
    return publish(cast("Any", None), candidates, access=RegistryAccess(), reporter=SilentReporter(), **more)


def test_a_free_tag_is_pushed_and_its_digest_told(world: Any) -> None:
    world()
    assert run(candidate(ELSEWHERE)) == [PublishedImage("hub", f"{ELSEWHERE}/hub:1", NEW, True)]


def test_in_the_labs_registry_a_newer_build_replaces_the_older(world: Any) -> None:
    there = world({f"{OWN}/hub:1": StoredConfiguration("sha256:older", OLDER_HUB)})
    run(candidate(OWN))
    assert there.pushed == [f"{OWN}/hub:1"]


@pytest.mark.parametrize(
    ("prefix", "stored", "said"),
    [
        (OWN, StoredConfiguration("sha256:x", {"org.opencontainers.image.title": "kubelab hub"}), "kubelab hub"),
        (OWN, StoredConfiguration("sha256:x", {}), "an image without a title"),
        (OWN, StoredConfiguration("sha256:x", {**HUB, "org.opencontainers.image.title": "mine"}), "mine"),
        (ELSEWHERE, StoredConfiguration("sha256:older", OLDER_HUB), "kubelab hub"),
        (ELSEWHERE, StoredConfiguration(None, {}), "an index of several platforms"),
    ],
)
def test_other_content_is_refused_before_anything_is_sent_unless_forced(
    world: Any, prefix: str, stored: StoredConfiguration, said: str
) -> None:
    there = world({f"{prefix}/hub:1": stored})
    with pytest.raises(BlockedError, match=rf"hub:1 exists with other content \({OLD}, {said}\)") as raised:
        run(candidate(prefix, "proxy"), candidate(prefix), repeat="kubelab image push")
    assert "--force" in raised.value.next_step
    assert raised.value.repeat == "kubelab image push"
    assert there.pushed == []
    run(candidate(prefix), force=True)
    assert there.pushed == [f"{prefix}/hub:1"]


def test_the_same_content_is_not_other_content(world: Any) -> None:
    world({f"{ELSEWHERE}/hub:1": StoredConfiguration("sha256:hub", {})})
    run(candidate(ELSEWHERE))


def test_what_this_machine_pushed_before_needs_no_look(world: Any) -> None:
    world({f"{ELSEWHERE}/hub:1": StoredConfiguration("sha256:would be refused", {})})
    run(candidate(ELSEWHERE, digests=(f"{ELSEWHERE}/hub@{OLD}",)))


def test_a_third_partys_part_may_come_from_another_source(world: Any) -> None:
    there = world({f"{OWN}/provisioner:1": StoredConfiguration("sha256:built elsewhere", {})})
    run(candidate(OWN, "provisioner", {}))
    assert there.pushed == [f"{OWN}/provisioner:1"]


def test_a_registry_that_does_not_run_is_told_with_the_command_that_starts_it(world: Any) -> None:
    there = world(runs=False)
    with pytest.raises(BlockedError, match=r"this machine's registry .* does not run") as raised:
        run(candidate(OWN), repeat="kubelab image push hub")
    assert (raised.value.next_step, raised.value.repeat) == ("kubelab registry up", "kubelab image push hub")
    run(candidate(ELSEWHERE))
    assert there.pushed == [f"{ELSEWHERE}/hub:1"]


def test_a_registry_that_goes_down_in_between_leaves_work_partly_done(world: Any) -> None:
    world(broken=f"{ELSEWHERE}/hub:1")
    again = "kubelab image push --to registry.example/team"
    with pytest.raises(PartlyDoneError, match="connection refused") as raised:
        run(candidate(ELSEWHERE, "proxy"), candidate(ELSEWHERE), repeat=again)
    assert (raised.value.repeat, raised.value.next_step) == (again, "see that it runs")
    with pytest.raises(KubelabError) as first:
        run(candidate(ELSEWHERE), repeat=again)
    assert type(first.value) is KubelabError


@pytest.mark.parametrize("target", ["registry.example", "registry.example:5000/a/b", "localhost/x", "host:5000", OWN])
def test_a_registry_has_a_host(target: str) -> None:
    require_target(target)


@pytest.mark.parametrize(
    "target", ["team", "team/hub", "registry.example/", "https://registry.example", "a.b/Team", ""]
)
def test_what_names_no_registry_is_refused(target: str) -> None:
    with pytest.raises(InvalidInputError, match="names no registry") as raised:
        require_target(target)
    assert "registry.example/team" in raised.value.next_step
