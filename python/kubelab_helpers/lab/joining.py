"""Who is in the cluster already, by the stamps on the hosts themselves, and how the others are taken in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubelab_helpers.cluster import credentials, etcd, kubeadm, members
from kubelab_helpers.cluster.kubectl import read_items
from kubelab_helpers.cluster.placement import NodeTraits, Taint, read_placement, select_images
from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.cluster.upgrade import parse_version
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.executor import read_plan
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.hosts.steps.runtime import PROGRAM_PATHS
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.parallel import converge_all, for_each
from kubelab_helpers.lab.pulling import find_pull, pull_images
from kubelab_helpers.release.deploy import COMPONENT, IMAGE_PULLER, NAMESPACE

JOINS_AT_ONCE = 4
"""Each join starts the network's pods on its node and asks the API server for certificates."""
JOIN = "action:kubeadm-join"
STAMPS = ("kubeadm-init", "kubeadm-join")
"""On the host on which the cluster began, and on those that joined it; their value is the cluster's name."""
NAMESAKE_REMEDY = (
    "give one of the two another name; `kubelab cluster remove NAME --lost --yes` takes out a node that is to go"
)


def read_stamped(lab: Lab, stamp: str) -> set[str]:
    """Return the names of the control planes on which this cluster's `stamp` (kubeadm-init, kubeadm-join) stands."""
    hosts = lab.spec.control_planes
    states = for_each(hosts, lambda host: probe_state(lab.runner(host), (f"stamp:{stamp}",)))
    return {host.name for host, state in zip(hosts, states, strict=True) if state.stamps.get(stamp) == lab.spec.name}


def find_strangers(lab: Lab, hosts: Sequence[HostSpec]) -> dict[str, str]:
    """Return the hosts on which another cluster's stamp stands, and that cluster's name.

    kubeadm would fail there, and what follows a failure is to clear the half that it left.
    """
    found = {name: find_other_cluster(lab.spec, stamps) for name, stamps in _read_stamps(lab, hosts).items()}
    return {name: other for name, other in found.items() if other}


def find_other_cluster(spec: LabSpec, stamps: Mapping[str, str]) -> str:
    """Return the name of the other cluster whose stamp stands among a host's, or nothing. Pure."""
    return next((stamps[stamp] for stamp in STAMPS if stamps.get(stamp, spec.name) != spec.name), "")


def find_namesakes(lab: Lab, hosts: Sequence[HostSpec]) -> list[str]:
    """Return, a line each, which of the hosts have the name of a node that serves elsewhere in this cluster.

    Nothing where no control plane answers: whoever joins a host then says why none does.
    """
    if not hosts or find_founder(lab) is None:
        return []
    try:
        found = _read_namesakes(lab, find_acting(lab), hosts)
    except KubelabError:
        return []
    return [f"{each}. {NAMESAKE_REMEDY}" for each in found]


def _read_namesakes(lab: Lab, acting: Runner, hosts: Sequence[HostSpec]) -> list[str]:
    serving = {member.name: member.address for member in members.read_members(acting) if member.ready}
    addresses = {host.name: lab.spec.address_of(host.name) for host in hosts}
    return [
        f"{name} at {address}: the cluster has a Ready node of that name at {serving[name]}, another machine"
        for name, address in addresses.items()
        if serving.get(name, address) != address
    ]


def require_same_version(lab: Lab, hosts: Sequence[HostSpec]) -> None:
    """Refuse to prepare a node of the cluster whose kubelet has another version than the lab is to have.

    Its kubelet would be replaced in place, before the API servers and without a drain.
    """
    stamps = _read_stamps(lab, hosts)
    joined = [host for host in hosts if stamps[host.name]]
    found = for_each(joined, lambda host: _kubelet_version(lab.runner(host)))
    wanted = lab.spec.kubernetes_version
    other = {host.name: version for host, version in zip(joined, found, strict=True) if version not in ("", wanted)}
    if not other:
        return
    told = ", ".join(f"{name} has {version}" for name, version in other.items())
    newest = max(other.values(), key=parse_version)
    if parse_version(newest) > parse_version(wanted):
        remedy = f"give kubelab.yaml `kubernetes: {{version: {newest}}}`: Kubernetes cannot go back"
    else:
        remedy = f"`kubelab cluster upgrade` (or `kubelab-host upgrade`, where this host is all) brings it to {wanted}"
    raise BlockedError(f"the cluster is to have Kubernetes {wanted}, and {told}", next_step=remedy)


def find_founder(lab: Lab) -> HostSpec | None:
    """Return the control plane on which the cluster began, else one that has joined it, else None: there is none yet.

    A first control plane that was removed, or set up anew, must not begin a second cluster beside the first.
    """
    for stamp in STAMPS:
        stamped = read_stamped(lab, stamp)
        found = next((host for host in lab.spec.control_planes if host.name in stamped), None)
        if found:
            return found
    return None


def find_acting(lab: Lab) -> Runner:
    """Return the hands on the first control plane whose API server answers; BlockedError says why none does."""
    return members.find_acting([lab.runner(host) for host in lab.spec.control_planes])


def find_acting_host(lab: Lab) -> HostSpec:
    """Return the first control plane whose API server answers; with a single one there is no choice."""
    if len(lab.spec.control_planes) == 1:
        return lab.control_plane
    by_runner = {lab.runner(host).name: host for host in lab.spec.control_planes}
    return by_runner[find_acting(lab).name]


def join_hosts(lab: Lab, hosts: Sequence[HostSpec], *, at_once: int) -> int:
    """Join those of the hosts that are not in the cluster yet and return how many changes that took."""
    parts = lab.parts()
    planned = _plan_joins(lab, [host for host in hosts if host.name not in read_stamped(lab, "kubeadm-init")])
    waiting = [host for host, changes in planned.items() if changes]
    if not waiting:
        return 0
    acting = lab.runner(find_acting_host(lab))
    coming = [host for host in waiting if JOIN in planned[host]]
    for host in coming:
        _forget(lab, host)
    _pull_before(lab, acting, coming)
    if any(host.role == "control-plane" for host in waiting):
        issued = credentials.issue_control_plane_credentials(acting, lab.spec.kubernetes_version)
    else:
        issued = credentials.issue_credentials(acting)
    step = kubeadm.join_step(issued, schedulable=not lab.spec.workers)
    return converge_all(lab, waiting, (step,), parts, lambda host: f"join {host.name}", at_once)


def plan_step() -> Step:
    """Return the join as a plan sees it, without credentials."""
    return kubeadm.join_step(None)


def _plan_joins(lab: Lab, hosts: Sequence[HostSpec]) -> dict[HostSpec, list[str]]:
    parts = lab.parts()

    def read(host: HostSpec) -> list[str]:
        plan, _ = read_plan(lab.runner(host), (plan_step(),), lab.node(host, parts))
        return [each.change.id for each in plan.changes]

    return dict(zip(hosts, for_each(hosts, read), strict=True))


def _pull_before(lab: Lab, acting: Runner, hosts: Sequence[HostSpec]) -> None:
    """Have on the hosts what the cluster's users start from, before a first user's server can be sent there.

    A failure keeps nobody from joining: it is told, and the cluster's own puller goes on where the host has joined. So
    it does with what labels that the host is given later bring.
    """
    pullers = read_items(acting, "daemonsets", f"--namespace={NAMESPACE}", f"--selector={COMPONENT}={IMAGE_PULLER}")
    placements = [read_placement(each) for each in pullers]
    found = select_images(placements, [_expect_traits(lab, host) for host in hosts])
    wanted = {
        host: tuple(pull for image in found.get(host.name, ()) if (pull := find_pull(image, {}))) for host in hosts
    }
    pull_images(lab, {host: images for host, images in wanted.items() if images}, give_up=True)


def _expect_traits(lab: Lab, host: HostSpec) -> NodeTraits:
    """Return a node's traits as kubeadm and kubelet will make them."""
    kept_free = host.role == "control-plane" and lab.spec.workers
    return NodeTraits(
        host.name,
        {"kubernetes.io/hostname": host.name, "kubernetes.io/os": "linux"},
        (Taint(members.CONTROL_PLANE_LABEL, "NoSchedule"),) if kept_free else (),
    )


def _read_stamps(lab: Lab, hosts: Sequence[HostSpec]) -> dict[str, dict[str, str]]:
    """Return, by host, which of a cluster's stamps stand there, with the cluster's name."""
    states = for_each(hosts, lambda host: probe_state(lab.runner(host), [f"stamp:{stamp}" for stamp in STAMPS]))
    return {host.name: state.stamps for host, state in zip(hosts, states, strict=True)}


def _kubelet_version(runner: Runner) -> str:
    """Return a host's kubelet version, or nothing where there is none that runs: the preparation mends that."""
    asked = runner.run(Command((PROGRAM_PATHS["kubelet"], "--version"), timeout_seconds=30))
    return asked.text.split()[-1].removeprefix("v") if asked.status == 0 else ""


def _forget(lab: Lab, host: HostSpec) -> None:
    """Remove what a join that was cut off, or a machine of the same name before, left in the cluster.

    kubeadm refuses a name that is there and Ready; etcd does not start an empty member that has had data. BlockedError
    for a node that serves: it is another machine's.
    """
    acting = lab.runner(find_acting_host(lab))
    namesakes = _read_namesakes(lab, acting, [host])
    if namesakes:
        raise BlockedError("; ".join(namesakes), next_step=NAMESAKE_REMEDY)
    if host.role == "control-plane":
        etcd.remove_etcd_member(acting, lab.spec.address_of(host.name))
    members.delete_node(acting, host.name)
