"""Acting: the only writer. It applies a plan change by change and writes each to the host's journal first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubelab_helpers.errors import KubelabError, PartlyDoneError
from kubelab_helpers.hosts import journal
from kubelab_helpers.hosts.change import DIRECTORY
from kubelab_helpers.hosts.command import Command, CommandError
from kubelab_helpers.hosts.facts import probe_host
from kubelab_helpers.hosts.plan import Plan, PlannedChange, Step, desire, plan
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.state import HostState, probe_state
from kubelab_helpers.result import Outcome, Reporter


def read_plan(runner: Runner, steps: Sequence[Step], spec: NodeSpec) -> tuple[Plan, HostState]:
    """Read the host and decide: the changes still missing there, and the state they were decided from."""
    desired = desire(steps, probe_host(runner), spec)
    state = probe_state(runner, (name for each in desired for name in each.change.watched))
    return plan(spec.name, desired, state), state


def never() -> bool:
    """Return False: nobody asks for an early end."""
    return False


def apply_plan(
    runner: Runner,
    decided: Plan,
    state: HostState,
    reporter: Reporter,
    task: str,
    should_stop: Callable[[], bool] = never,
) -> int:
    """Apply a plan and return how many changes were made. `should_stop` is asked before each change.

    PartlyDoneError names the change that failed; what came before it is done and recorded, so that the same call
    goes on.
    """
    run = state.ledger.open_run or journal.new_run()
    closing: list[dict[str, Any]] = [journal.ended_line(planned) for planned in decided.ended]
    if decided.changes and not state.ledger.open_run:
        closing.append(journal.run_line(run, task))
    for count, planned in enumerate(decided.changes):
        if should_stop():
            break
        reporter.advance(task, count, planned.change.summary)
        intent = journal.intent_line(run, planned, state)
        # The last change's end and this one's beginning in one go: one round trip a change, not two.
        record(runner, [*closing, intent], back_up=intent)
        _make(runner, decided.host, planned)
        closing = [journal.done_line(intent)]
    if closing:
        record(runner, closing)
    if should_stop():
        raise PartlyDoneError(f"{decided.host}: stopped early", next_step="run the same command again: it goes on")
    return len(decided.changes)


def end_run(runner: Runner, state: HostState) -> None:
    """Write down that the run on this host has ended, if one is open: the next one is then another."""
    if state.ledger.open_run:
        record(runner, [journal.end_line(state.ledger.open_run)])


def record(runner: Runner, lines: Sequence[dict[str, Any]], back_up: dict[str, Any] | None = None) -> None:
    """Put lines into the host's journal; PartlyDoneError when that cannot be written: nothing is done without it."""
    try:
        runner.check(journal.append(lines, back_up))
    except CommandError as error:
        said = error.completed.error_text.strip().splitlines()[-1:] or [f"status {error.completed.status}"]
        raise PartlyDoneError(
            f"{runner.name}: the journal {journal.JOURNAL}, or a copy beside it, cannot be written\n{said[0]}",
            next_step=f"see `df -h {DIRECTORY}`, make room, and run the same command again: it goes on from there",
        ) from error


def run_all(runner: Runner, commands: Sequence[Command], what: str) -> None:
    """Run commands in order; PartlyDoneError with `what` when one fails: the same call goes on from there."""
    try:
        for command in commands:
            runner.check(command)
    except KubelabError as error:
        raise PartlyDoneError(
            f"{what} failed\n{error.what}",
            repeat=error.repeat,
            next_step="mend the cause and run the same command again: it goes on from there",
        ) from error


def _make(runner: Runner, host: str, planned: PlannedChange) -> None:
    change = planned.change
    commands = (*(change.recover() if planned.again else ()), *change.operations())
    run_all(runner, commands, f"{host}: step {planned.step}: {change.summary}")


def converge(
    runner: Runner,
    steps: Sequence[Step],
    spec: NodeSpec,
    reporter: Reporter,
    task: str,
    should_stop: Callable[[], bool] = never,
) -> int:
    """Read, decide, act, and read again: after it the plan must be empty. Returns how many changes were made."""
    decided, state = read_plan(runner, steps, spec)
    if not decided.changes and not decided.ended:
        return 0
    reporter.start(task, total=len(decided.changes))
    made = apply_plan(runner, decided, state, reporter, task, should_stop)
    _verify(runner, steps, spec)
    reporter.finish(task, Outcome.CHANGED, f"{made} changes")
    return made


def _verify(runner: Runner, steps: Sequence[Step], spec: NodeSpec) -> None:
    left, _ = read_plan(runner, steps, spec)
    if left.changes:
        names = ", ".join(each.change.id for each in left.changes)
        raise KubelabError(
            f"{left.host}: applied, but not so afterwards: {names}",
            next_step="something else on the host undoes these; find it, then run the same command again",
        )
