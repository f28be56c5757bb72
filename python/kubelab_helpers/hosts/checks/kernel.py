"""What a host's kernel has to do: by its effect where that can be seen without writing."""

from __future__ import annotations

from collections.abc import Iterator

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.findings import Finding, Subject, blocked, note, ok, warning
from kubelab_helpers.hosts.kernel import FSTAB
from kubelab_helpers.hosts.solver import solve_versions

MACHINES = frozenset({"x86_64", "aarch64"})
CGROUP_LINK = "https://kubernetes.io/docs/concepts/architecture/cgroups/"


def check_machine(subject: Subject) -> Iterator[Finding]:
    """An architecture that the parts run on."""
    facts = subject.facts
    if facts.machine in MACHINES:
        yield ok("machine", "an architecture that kubelab has parts for", facts.machine)
    else:
        yield blocked(
            "machine", "an architecture that kubelab has no parts for", facts.machine, "use x86_64 or aarch64"
        )


def check_versions(subject: Subject) -> Iterator[Finding]:
    """A Kubernetes and a containerd that kubelab carries and that this host can run, how, and why these."""
    try:
        found = solve_versions(subject.facts, subject.carried)
    except BlockedError as error:
        yield blocked("kubernetes", "no Kubernetes that kubelab carries runs here", error.what, error.next_step)
        return
    seen = f"Kubernetes {found.kubernetes}, containerd {found.containerd}, kube-proxy in {found.proxy_mode} mode"
    told = f"{seen}: {'; '.join((*found.why, *found.warnings))}"
    if found.proxy_mode == "nftables":
        yield ok("kubernetes", "a host for the newest Kubernetes", told)
    else:
        yield note("kubernetes", "a host for Kubernetes, with settings of its own", told)


def check_features(subject: Subject) -> Iterator[Finding]:
    """Overlay file systems and bridge filtering, in effect already or as modules that can be loaded."""
    facts = subject.facts
    for name, there in (("overlay", "overlay" in facts.filesystems), ("br_netfilter", "br_netfilter" in facts.effects)):
        if there:
            yield ok(name, f"{name} is in effect")
        elif facts.modules_loadable:
            yield note(name, f"{name} is not loaded yet", "modules can be loaded", "kubelab loads it")
        else:
            yield blocked(
                name,
                f"the kernel has no {name}, and no modules to load",
                facts.kernel,
                "start the host with its distribution's own kernel",
            )


def check_cgroup(subject: Subject) -> Iterator[Finding]:
    """Version 2, or version 1 with what that means."""
    if subject.facts.cgroup == 2:
        yield ok("cgroup", "cgroup v2")
        return
    yield warning(
        "cgroup",
        "cgroup v1, which Kubernetes is leaving",
        "kubelet refuses it by default since 1.35, which failCgroupV1 turns off; containerd drops it by May 2029",
        "boot with systemd.unified_cgroup_hierarchy=1 where the distribution can",
        CGROUP_LINK,
    )


def check_swap(subject: Subject) -> Iterator[Finding]:
    """No swap, now or after a restart; what there is is turned off."""
    fields = [line.split() for line in subject.facts.contents.get(FSTAB, "").splitlines()]
    listed = [each[0] for each in fields if each[2:3] == ["swap"] and not each[0].startswith("#")]
    told = [*subject.facts.swaps, *(f"{each} in {FSTAB}" for each in listed)]
    if told:
        yield note("swap", "swap is in use", ", ".join(told), "kubelab turns it off, and a rollback on again")
    else:
        yield ok("swap", "no swap in use")


def check_oom_score(subject: Subject) -> Iterator[Finding]:
    """The right to protect the system's own processes when memory runs out."""
    if subject.facts.can_lower_oom_score:
        yield ok("oom-score", "the system's processes can be protected when memory runs out")
    else:
        yield note(
            "oom-score",
            "containerd cannot protect the system's containers when memory runs out",
            "CAP_SYS_RESOURCE is missing",
            "none is needed: containerd is told so",
        )
