"""Docker on one host, from reading it to a container that ran: plan, install, uninstall, test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.docker import DockerFacts, probe_docker
from kubelab_helpers.hosts.docker_packages import RECORDS, script
from kubelab_helpers.hosts.docker_source import Repository, Source, choose_source, docker_repository
from kubelab_helpers.hosts.executor import apply_plan, end_run
from kubelab_helpers.hosts.facts import HostFacts, probe_host
from kubelab_helpers.hosts.plan import Plan, plan
from kubelab_helpers.hosts.rollback import Rollback, apply_rollback, plan_rollback
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.state import HostState, probe_state
from kubelab_helpers.hosts.steps.docker import KEYS, STEP, Decision, DockerSpec, decide_docker, may_install
from kubelab_helpers.result import Outcome, Reporter

TASK = "docker install"
KEY_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class DockerPlan:
    """What is still missing on a host, the state it was decided from, and what a person should know."""

    plan: Plan
    state: HostState
    docker: DockerFacts
    decision: Decision

    def as_data(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        conflicts = [vars(each) for each in self.decision.conflicts]
        found = {"found": self.docker.description, "notes": list(self.decision.notes), "conflicts": conflicts}
        return {**self.plan.as_data(), **found}


@dataclass(frozen=True)
class WorksCheck:
    """One thing that was tried with a real container: `outcome` is yes, no or skipped."""

    name: str
    outcome: str
    detail: str


def read_docker_plan(runner: Runner, wanted: DockerSpec) -> DockerPlan:
    """Read the host and decide; nothing is written there. Docker CE's key is fetched here, by its fingerprint."""
    facts = probe_host(runner)
    repository = docker_repository(facts, wanted.repository) if wanted.origin != "distribution" else None
    asked = (repository.asked,) if repository and wanted.origin == "auto" else ()
    docker = probe_docker(runner, wanted.users, asked)
    ledger = probe_state(runner, ()).ledger
    # A replacement that was cut off has not made the Docker that is there ours.
    ours = any(
        entry.change == "docker:traces" or (entry.change == "packages:docker" and entry.ended)
        for entry in ledger.entries
    )
    source = None
    if may_install(docker, wanted, ours=ours):
        source = choose_source(facts, docker, wanted.origin, repository)
    decision = decide_docker(facts, docker, wanted, source, _key_for(runner, source), ours=ours)
    return _plan(runner, facts, docker, decision)


def _plan(runner: Runner, facts: HostFacts, docker: DockerFacts, decision: Decision) -> DockerPlan:
    state = probe_state(runner, (name for each in decision.changes for name in each.change.watched))
    if decision.changes and not facts.privileged:
        raise BlockedError("this needs root", next_step="run the same command with sudo")
    return DockerPlan(plan(facts.hostname, decision.changes, state), state, docker, decision)


def install_docker(runner: Runner, wanted: DockerSpec, reporter: Reporter) -> tuple[DockerPlan, int]:
    """Make the host as wanted and return the plan that was followed, and how many changes were made."""
    decided = read_docker_plan(runner, wanted)
    if not decided.plan.changes and not decided.plan.ended:
        return decided, 0
    reporter.start(TASK, total=len(decided.plan.changes))
    made = apply_plan(runner, decided.plan, decided.state, reporter, TASK)
    # Replacing is done by now: what is there is kubelab's.
    after = read_docker_plan(runner, replace(wanted, replace=False))
    if after.plan.changes:
        names = ", ".join(each.change.id for each in after.plan.changes)
        raise KubelabError(
            f"{runner.name}: applied, but not so afterwards: {names}",
            next_step="something else on the host undoes these; find it, then run the same command again",
        )
    end_run(runner, after.state)
    reporter.finish(TASK, Outcome.CHANGED, f"{made} changes")
    return decided, made


def read_uninstall(runner: Runner, *, keep_changed: bool = False, purge_data: bool = False) -> Rollback:
    """Decide what of Docker to put back: everything that kubelab's Docker steps did on the host, newest first."""
    ledger = probe_state(runner, ()).ledger
    entries = tuple(entry for entry in reversed(ledger.entries) if entry.step == STEP)
    if purge_data and not any(entry.change == "docker:traces" for entry in entries):
        raise BlockedError(
            f"{runner.name}: /var/lib/docker is not of a Docker that kubelab brought",
            next_step="leave out --purge-data; remove the data yourself if you are sure",
        )
    paths = sorted({entry.path for entry in entries if entry.path})
    files = probe_state(runner, [f"file:{path}" for path in paths]).files
    return plan_rollback(runner.name, entries, files, keep_changed=keep_changed)


def uninstall_docker(runner: Runner, decided: Rollback, reporter: Reporter, *, purge_data: bool = False) -> int:
    """Put back what `read_uninstall` decided; containers, images and volumes stay unless `purge_data`."""
    if purge_data and decided.entries:
        runner.check(Command(("touch", f"{RECORDS}/disposable")))
    return apply_rollback(runner, decided, reporter, "docker uninstall")


def try_docker(runner: Runner, *, restart: bool = True) -> list[WorksCheck]:
    """Run real containers on the host and return what was seen; what was made for it is removed again.

    With `restart` the daemon is restarted where live-restore is on, and the container must live on.
    """
    lines = runner.check(script("works", *(["restart"] if restart else []))).text.splitlines()
    return [WorksCheck(*line.split("\t", 2)) for line in lines if line.count("\t") >= 2]


def _key_for(runner: Runner, source: Source | None) -> bytes:
    """The repository's key: the one that is on the host already, else fetched; either must have the fingerprint."""
    if source is None or source.repository is None:
        return b""
    there = runner.run(Command(("cat", KEYS[source.family])))
    if there.status == 0 and fingerprint_of(there.stdout) == source.repository.fingerprint:
        return there.stdout
    return fetch_key(source.repository)


def fetch_key(repository: Repository) -> bytes:
    """Return a repository's public key; BlockedError if it cannot be had or has another fingerprint."""
    content = _read_url(repository.key_url)
    found = fingerprint_of(content)
    if found != repository.fingerprint:
        raise BlockedError(
            f"{repository.key_url} has the fingerprint {found or 'of no OpenPGP key'}, not {repository.fingerprint}",
            next_step="do not trust it: ask who runs the repository; a mirror of your own is named with "
            "--repository, --repository-key and --repository-fingerprint",
        )
    return content


def _read_url(url: str) -> bytes:
    import requests

    if urlsplit(url).scheme in {"", "file"}:
        from pathlib import Path

        return Path(urlsplit(url).path).read_bytes()
    try:
        answer = requests.get(url, timeout=KEY_TIMEOUT_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise BlockedError(
            f"the key of Docker CE's repository cannot be fetched from {url}",
            next_step="--from distribution, or name a mirror with --repository and --repository-key",
        ) from error
    return answer.content


def fingerprint_of(key: bytes) -> str:
    """Return an OpenPGP public key's fingerprint in upper-case hex, or nothing for what is no key."""
    from pysequoia import Cert

    try:
        return str(Cert.from_bytes(key).fingerprint).upper()
    except Exception:  # noqa: BLE001  pysequoia's error has no class of its own
        return ""
