# ruff: noqa: D102, ARG002  the doubles have the methods of what they stand for
"""Pushing: what the registry has is not counted as sent, and an error in the stream is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from kubelab_helpers.cluster.registry_secrets import Login
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.push import push
from kubelab_helpers.result import Outcome, SilentReporter

NAME = "localhost:5000/kubelab/hub:1"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Engine:
    """As much of a Docker client as a push uses: it is its own `images`, `api` and image."""

    def __init__(self, known: str | None, events: list[dict[str, Any]], digests: tuple[str, ...] = ()) -> None:
        self.known, self.events, self.attrs = known, events, {"RepoDigests": list(digests)}
        self.images = self.api = self
        self.calls: list[str] = []
        self.logins: list[dict[str, str] | None] = []
        self.refusal = ""

    @property
    def id(self) -> str | None:
        return self.known

    def get(self, name: str) -> Engine:
        from docker.errors import ImageNotFound

        if name.endswith("gone:1"):
            raise ImageNotFound(name)
        return self

    def get_registry_data(self, name: str, auth_config: dict[str, str] | None = None) -> Engine:
        from docker.errors import APIError

        self.logins.append(auth_config)
        if self.refusal:
            raise APIError(self.refusal)
        if self.known is None:
            raise APIError("manifest unknown: manifest unknown")
        self.calls.append(f"ask {name}")
        return self

    def tag(self, repository: str, tag: str) -> None:
        self.calls.append(f"tag {repository}:{tag}")

    def push(
        self, repository: str, tag: str, auth_config: dict[str, str] | None = None, **_: bool
    ) -> list[dict[str, Any]]:
        self.logins.append(auth_config)
        self.calls.append(f"push {repository}:{tag}")
        return self.events

    def remove(self, name: str) -> None:
        self.calls.append(f"remove {name}")


class Steps(SilentReporter):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.bytes: list[float] = []
        self.ends: list[Outcome] = []

    def advance(self, task: str, completed: float, note: str = "") -> None:
        self.bytes.append(completed)

    def finish(self, task: str, outcome: Outcome, note: str = "") -> None:
        self.ends.append(outcome)


def done(digest: str) -> list[dict[str, Any]]:
    return [
        {"id": "l1", "status": "Pushing", "progressDetail": {"current": 10, "total": 20}},
        {"id": "l2", "status": "Pushing", "progressDetail": {"current": 5, "total": 5}},
        {"id": "l1", "status": "Pushing", "progressDetail": {"current": 20, "total": 20}},
        {"progressDetail": {}, "aux": {"Tag": "1", "Digest": digest, "Size": 1}},
    ]


def run(engine: Engine, name: str = NAME, **more: Any) -> Any:
    return push(cast("Any", engine), name, **more)


def test_a_new_image_is_sent_and_its_bytes_reported() -> None:
    engine, steps = Engine(None, done(NEW)), Steps()
    pushed = run(engine, reporter=steps)
    assert (pushed.digest, pushed.changed) == (NEW, True)
    assert steps.bytes == [10, 15, 25]
    assert steps.ends == [Outcome.CHANGED]


def test_a_changed_image_replaces_the_old() -> None:
    assert run(Engine(OLD, done(NEW), (f"localhost:5000/kubelab/hub@{OLD[:-1]}c",))).changed


def test_what_the_registry_has_under_this_name_is_not_sent() -> None:
    engine = Engine(OLD, done(OLD), (f"localhost:5000/kubelab/hub@{OLD}",))
    assert not run(engine).changed
    assert not any(call.startswith("push") for call in engine.calls)


def test_another_repositorys_digest_says_nothing_about_this_one() -> None:
    engine = Engine(OLD, done(OLD), (f"localhost:5000/kubelab/proxy@{OLD}",))
    assert not run(engine).changed
    assert f"push {NAME}" in engine.calls


def test_another_port_is_a_passing_name() -> None:
    engine = Engine(OLD, done(NEW))
    assert run(engine, access=RegistryAccess(5001)).reference == NAME
    there = "localhost:5001/kubelab/hub:1"
    assert engine.calls == [f"ask {there}", f"tag {there}", f"push {there}", f"remove {there}"]


def test_another_registry_keeps_its_own_port() -> None:
    engine = Engine(None, done(NEW))
    run(engine, "registry.example:5000/lab/hub:1", access=RegistryAccess(5001))
    assert "push registry.example:5000/lab/hub:1" in engine.calls


def test_an_error_in_the_stream_is_raised_and_the_passing_name_goes() -> None:
    engine, steps = Engine(None, [*done(NEW)[:2], {"error": "no space left on device"}]), Steps()
    with pytest.raises(KubelabError, match="no space left on device"):
        run(engine, access=RegistryAccess(5001), reporter=steps)
    assert steps.ends == [Outcome.FAILED]
    assert engine.calls[-1] == "remove localhost:5001/kubelab/hub:1"


def test_a_stream_without_a_digest_is_a_failure() -> None:
    with pytest.raises(KubelabError, match="ended without a digest"):
        run(Engine(None, done(NEW)[:3]))


def test_an_image_that_is_not_there_blocks() -> None:
    with pytest.raises(BlockedError, match="there is no image"):
        run(Engine(None, []), "localhost:5000/kubelab/gone:1")


PASSWORD = "a password of the lab's"  # no real one
ACCESS = RegistryAccess(5001, login=Login(PASSWORD, "kubelab:$2b$"), folder=Path("lab/registry"))


def test_the_password_goes_with_each_request_to_this_machines_registry() -> None:
    engine = Engine(OLD, done(NEW))
    run(engine, access=ACCESS)
    assert engine.logins == [{"username": "kubelab", "password": PASSWORD}] * 2


def test_another_registry_never_sees_the_password() -> None:
    engine = Engine(OLD, done(NEW))
    run(engine, "registry.example:5000/lab/hub:1", access=ACCESS)
    assert engine.logins == [None, None]


@pytest.mark.parametrize(
    "said",
    [
        "unauthorized: authentication required",
        'Head "https://localhost:5001/v2/kubelab/hub/manifests/1": no basic auth credentials',
    ],
)
def test_a_wrong_password_is_named_by_its_file_alone(said: str) -> None:
    """As Docker 20.10 says it, with a wrong password and with none."""
    engine = Engine(OLD, done(NEW))
    engine.refusal = said
    with pytest.raises(KubelabError) as caught:
        run(engine, access=ACCESS)
    assert str(caught.value) == (
        "the registry at http://127.0.0.1:5001 does not accept the password in lab/registry/password"
    )
    assert "`kubelab up`" in caught.value.next_step
    assert PASSWORD not in f"{caught.value.what}{caught.value.next_step}{caught.value.repeat}"


def test_a_password_that_is_refused_while_pushing_is_told_the_same() -> None:
    engine = Engine(None, [*done(NEW)[:2], {"error": "unauthorized: authentication required"}])
    with pytest.raises(KubelabError, match="does not accept the password in lab/registry/password"):
        run(engine, access=ACCESS)
    assert engine.calls[-1] == "remove localhost:5001/kubelab/hub:1"


def test_another_registrys_refusal_is_its_own_matter() -> None:
    engine = Engine(OLD, done(NEW))
    engine.refusal = "unauthorized: authentication required"
    with pytest.raises(KubelabError, match=r"the registry of registry\.example:5000/lab/hub:1") as caught:
        run(engine, "registry.example:5000/lab/hub:1", access=ACCESS)
    assert "the engine is logged in to it" in caught.value.next_step
