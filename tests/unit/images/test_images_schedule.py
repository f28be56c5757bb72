"""How many builds run at once, and in which order."""

from __future__ import annotations

from threading import Barrier, Event, Lock

import pytest

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images.schedule import MIB, decide_jobs, run_in_order

SECONDS = 20.0
GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("images", "cpus", "free_gib", "asked", "expected"),
    [
        (12, 8, 64, None, 8),  # by CPU
        (12, 8, 5, None, 4),  # by memory, one GiB spared
        (3, 8, 64, None, 3),  # no more than there are
        (12, 8, 0.5, None, 1),  # one in any case
        (12, 2, 2, 6, 6),  # asked for
        (4, 2, 2, 6, 4),
    ],
)
def test_jobs(images: int, cpus: int, free_gib: float, asked: int | None, expected: int) -> None:
    assert decide_jobs(images, cpus, int(free_gib * GIB), asked) == expected


def never() -> None:
    raise AssertionError("nothing is to be ended")


def test_what_needs_nothing_of_each_other_runs_at_once() -> None:
    together = Barrier(3, timeout=SECONDS)
    done, failed = run_in_order(dict.fromkeys("abc", ()), lambda _: together.wait(), jobs=3, end=never)
    assert sorted(done) == ["a", "b", "c"]
    assert failed == {}


def test_no_more_run_at_once_than_jobs_and_parents_end_first() -> None:
    lock, running, most, ended = Lock(), set[str](), list[int](), list[str]()
    needs = {"leaf": ("left", "right"), "left": ("root",), "right": ("root",), "root": (), "other": ()}

    def work(name: str) -> str:
        with lock:
            assert set(needs[name]) <= set(ended)
            running.add(name)
            most.append(len(running))
        Event().wait(0.02)
        with lock:
            running.discard(name)
            ended.append(name)
        return name.upper()

    done, _ = run_in_order(needs, work, jobs=2, end=never)
    assert done == {name: name.upper() for name in needs}
    assert max(most) <= 2


def test_after_a_failure_nothing_begins_and_what_runs_ends() -> None:
    has_failed, begun = Event(), list[str]()

    def work(name: str) -> str:
        begun.append(name)
        if name == "bad":
            has_failed.set()
            raise KubelabError("no")
        assert has_failed.wait(SECONDS)
        return name

    needs = {"bad": (), "slow": (), "waits": (), "child": ("bad",)}
    done, failed = run_in_order(needs, work, jobs=2, end=never)
    assert set(done) >= {"slow"}
    assert {name: error.what for name, error in failed.items()} == {"bad": "no"}
    assert "child" not in begun


def test_every_failure_of_what_ran_is_kept() -> None:
    together = Barrier(2, timeout=SECONDS)

    def work(name: str) -> None:
        together.wait()
        raise KubelabError(name)

    done, failed = run_in_order({"a": (), "b": (), "c": ("a", "b")}, work, jobs=2, end=never)
    assert (done, sorted(failed)) == ({}, ["a", "b"])


def test_an_interruption_ends_what_runs() -> None:
    ended, running = Event(), Event()

    def work(name: str) -> None:
        if name == "interrupted":
            assert running.wait(SECONDS)
            raise KeyboardInterrupt
        running.set()
        assert ended.wait(SECONDS), "nobody ended it"

    with pytest.raises(KeyboardInterrupt):
        run_in_order({"interrupted": (), "runs": ()}, work, jobs=2, end=ended.set)
