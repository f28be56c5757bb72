"""What control planes do by themselves from then on: save etcd's data, and renew certificates before they end."""

from __future__ import annotations

from kubelab_helpers.cluster import renewal, snapshots
from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import converge_all, for_each
from kubelab_helpers.result import Outcome


def enable_snapshots(lab: Lab) -> tuple[Outcome, str]:
    """Let every control plane save etcd's data on a timer; one that was set up otherwise by hand stays so."""
    return _enable(lab, snapshots.STAMP, snapshots_step(lab))


def enable_renewal(lab: Lab) -> tuple[Outcome, str]:
    """Let every control plane renew its certificates before they end."""
    return _enable(lab, renewal.STAMP, renewal_step())


def find_without(lab: Lab, stamp: str) -> list[HostSpec]:
    """Return the control planes on which that timer was never set up."""
    hosts = lab.spec.control_planes
    states = for_each(hosts, lambda host: probe_state(lab.runner(host), (f"stamp:{stamp}",)))
    return [host for host, state in zip(hosts, states, strict=True) if stamp not in state.stamps]


def snapshots_step(lab: Lab) -> Step:
    """Return the step that lets a control plane make snapshots."""
    parts = lab.parts()
    changes = snapshots.desire_snapshots({name: lab.program(name, parts) for name in snapshots.TOOLS})
    return Step(snapshots.STEP, lambda _facts, _spec: changes)


def renewal_step() -> Step:
    """Return the step that lets a control plane renew its certificates."""
    return Step(renewal.STEP, lambda _facts, _spec: renewal.desire_renewal())


def _enable(lab: Lab, stamp: str, step: Step) -> tuple[Outcome, str]:
    hosts = find_without(lab, stamp)
    made = converge_all(lab, hosts, (step,), lab.parts(), lambda host: f"{step.name} {host.name}")
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), f"{made} changes"
