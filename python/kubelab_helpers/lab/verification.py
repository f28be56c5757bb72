"""A cluster's network, tried with real connections between pods of its own, which are removed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kubelab_helpers.cluster import members
from kubelab_helpers.cluster.connections import (
    HOST_PORT,
    NAMESPACE,
    OUTSIDE,
    POLICIES,
    Connection,
    Ground,
    Phase,
    Verdict,
    judge,
    plan_phases,
)
from kubelab_helpers.cluster.health import ApiError, wait_until_none
from kubelab_helpers.cluster.kubectl import apply, kubectl, read_items
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.change import Change
from kubelab_helpers.hosts.command import CommandError
from kubelab_helpers.hosts.image import Image
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.template import render
from kubelab_helpers.lab.cluster import end_runs
from kubelab_helpers.lab.context import CHECK_PARTS, Lab
from kubelab_helpers.lab.joining import find_acting
from kubelab_helpers.lab.parallel import converge_all
from kubelab_helpers.result import Outcome

AT_ONCE = 4
SETTLE_SECONDS = 20.0
"""How long a Service or a policy has to take effect on every node: 1 to 2 s were measured."""
START_SECONDS = 90


def check_network(lab: Lab, outside_names: tuple[str, ...] = ()) -> list[Verdict]:
    """Make every connection that must be possible and every one that must not, and return how each went.

    `outside_names`: names that pods must be able to resolve and reach, as `name` (port 443) or `name:port`.
    BlockedError when a node is not Ready. The test image stays on the nodes until they are reset.
    """
    acting = find_acting(lab)
    hosts = _find_hosts(lab, acting)
    _load_image(lab, hosts)
    with _ground(lab, acting, hosts) as ground:
        return [verdict for phase in plan_phases(ground, outside_names) for verdict in _try_phase(lab, acting, phase)]


def isolate(lab: Lab, namespace: str) -> None:
    """Put the default policies into a namespace: deny all, let names through, let its own pods through."""
    acting = find_acting(lab)
    found = acting.run(kubectl("get", "namespace", namespace, timeout_seconds=30))
    if found.status != 0:
        raise BlockedError(
            f"there is no namespace {namespace}: {found.error_text.strip()}",
            next_step=f"make it first: kubectl create namespace {namespace}",
        )
    apply(acting, render("network/isolation.yaml", namespace=namespace, policies=POLICIES))


def _find_hosts(lab: Lab, acting: Runner) -> list[HostSpec]:
    found = {member.name: member for member in members.read_members(acting)}
    hosts = [host for host in lab.spec.hosts if host.name in found]
    silent = [host.name for host in hosts if not found[host.name].ready]
    if silent:
        raise BlockedError(
            f"not Ready: {', '.join(silent)}", next_step="mend or remove it first; `kubelab cluster status` shows more"
        )
    return hosts


def _load_image(lab: Lab, hosts: list[HostSpec]) -> None:
    parts = lab.store.fetch(CHECK_PARTS, lab.reporter)
    image = lab.image("image-agnhost", parts)
    changes: list[Change] = [Image(image.reference, image.digest, image.archive)]
    step = Step("network check", lambda _facts, _spec: changes)
    converge_all(lab, hosts, (step,), lab.parts(), lambda host: f"image {host.name}")
    end_runs(lab)


@contextmanager
def _ground(lab: Lab, acting: Runner, hosts: list[HostSpec]) -> Iterator[Ground]:
    """Make the pods and the Service, and remove them whatever happens."""
    names = [host.name for host in hosts]
    values = {"image": lab.image_reference("image-agnhost"), "host_port": HOST_PORT, "nodes": names}
    lab.reporter.start("pods")
    _remove(acting)
    try:
        apply(acting, render("network/check.yaml", namespace=NAMESPACE, outside=OUTSIDE, **values))
        _wait_until_running(acting, len(names) + 2)
        pods = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in _read_pods(acting)}
        service = read_items(acting, "services", f"--namespace={NAMESPACE}")[0]["spec"]
        lab.reporter.finish("pods", Outcome.CHANGED, f"{len(pods)} run")
        addresses = {name: lab.spec.address_of(name) for name in names}
        yield Ground(addresses, pods, service["clusterIP"], service["ports"][0]["nodePort"])
    finally:
        _remove(acting)


def _read_pods(acting: Runner) -> list[dict[str, Any]]:
    return [pod for namespace in (NAMESPACE, OUTSIDE) for pod in read_items(acting, "pods", f"--namespace={namespace}")]


def _wait_until_running(acting: Runner, wanted: int) -> None:
    def missing() -> str:
        pods = {pod["metadata"]["name"]: pod["status"] for pod in _read_pods(acting)}
        waiting = [f"{name} is {status['phase']}" for name, status in pods.items() if status["phase"] != "Running"]
        return "; ".join(waiting) if len(pods) == wanted else f"{len(pods)} of {wanted} pods are there"

    wait_until_none(missing, START_SECONDS, "the check's pods")


def _remove(acting: Runner) -> None:
    names = (NAMESPACE, OUTSIDE)
    limits = ("--ignore-not-found", "--timeout=90s")
    acting.check(kubectl("delete", "namespace", *names, *limits, timeout_seconds=120, request=None))


def _try_phase(lab: Lab, acting: Runner, phase: Phase) -> list[Verdict]:
    task = " + ".join(phase.policies) or "connections"
    lab.reporter.start(task, total=len(phase.connections))
    if phase.policies:
        apply(acting, render("network/isolation.yaml", namespace=NAMESPACE, policies=phase.policies))
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        verdicts = list(pool.map(lambda each: _try_until_expected(acting, each), phase.connections))
    failed = sum(not each.ok for each in verdicts)
    lab.reporter.finish(task, Outcome.FAILED if failed else Outcome.UNCHANGED, f"{failed} of {len(verdicts)} fail")
    return verdicts


def _try_until_expected(acting: Runner, connection: Connection) -> Verdict:
    """Try until it goes as expected: Services and policies take a moment to reach every node."""
    verdict = Verdict(connection, ok=False, said="it was not tried")

    def missing() -> str:
        nonlocal verdict
        verdict = _try(acting, connection)
        return "" if verdict.ok else verdict.said or "it fails"

    try:
        wait_until_none(missing, SETTLE_SECONDS, connection.id)
    except ApiError:
        raise
    except KubelabError:
        return verdict
    return verdict


def _try(acting: Runner, connection: Connection) -> Verdict:
    where = ("exec", f"--namespace={connection.namespace}", connection.origin, "--")
    try:
        done = acting.run(kubectl(*where, *connection.argv, timeout_seconds=60, request=None))
    except CommandError as error:  # past its time
        return Verdict(connection, ok=False, said=error.what)
    return judge(connection, done.status, done.error_text)
