"""Whether a host is large enough."""

from __future__ import annotations

from collections.abc import Iterator

from kubelab_helpers.hosts.findings import Finding, Subject, blocked, ok, warning

KUBEADM_LINK = "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/#before-you-begin"
CONTROL_PLANE_CPUS = 2
"""kubeadm's preflight check NumCPU."""
CONTROL_PLANE_MIB = 1700
"""kubeadm's preflight check Mem."""
WORKER_MIB = 1024
DISK_NEEDED_GIB = 5
"""kubelet evicts pods below 2 GiB (host-setup/templates/kubeadm/init.yaml), and a node's own images take 2 GB."""
DISK_COMFORTABLE_GIB = 20
"""Each Python's notebook image is 0.7 GB unpacked (docs/evidence.md), and homes and logs want room."""


def check_processors(subject: Subject) -> Iterator[Finding]:
    """Two processors for a control plane, as kubeadm asks; one does for a worker, slowly."""
    cpus = subject.facts.cpus
    seen = f"{cpus} processor{'s' if cpus != 1 else ''}"
    if cpus >= CONTROL_PLANE_CPUS:
        yield ok("cpu", "enough processors", seen)
    elif subject.role == "control-plane":
        yield blocked("cpu", "too few processors for a control plane", seen, "give it two", KUBEADM_LINK)
    else:
        yield warning("cpu", "one processor is shared by the system and every user", seen, "give it two")


def check_memory(subject: Subject) -> Iterator[Finding]:
    """As much memory as kubeadm asks of a control plane, less for a worker."""
    memory = subject.facts.memory_kib >> 10
    needed = CONTROL_PLANE_MIB if subject.role == "control-plane" else WORKER_MIB
    if memory >= needed:
        yield ok("memory", "enough memory", f"{memory} MiB")
    else:
        yield blocked(
            "memory",
            f"too little memory for a {subject.role}",
            f"{memory} MiB, {needed} MiB wanted",
            "add memory",
            KUBEADM_LINK,
        )


def check_disk(subject: Subject) -> Iterator[Finding]:
    """Room under /var/lib for images, logs and homes."""
    free = subject.facts.disk_free_kib >> 20
    seen = f"{free} GiB free under /var/lib"
    if free < DISK_NEEDED_GIB:
        yield blocked(
            "disk",
            "too little free disk",
            f"{seen}, {DISK_NEEDED_GIB} GiB wanted",
            "free some, or mount a larger disk there",
        )
    elif free < DISK_COMFORTABLE_GIB:
        yield warning(
            "disk",
            "little free disk for images and homes",
            f"{seen}, {DISK_COMFORTABLE_GIB} GiB is comfortable",
            "mount a larger disk there",
        )
    else:
        yield ok("disk", "enough free disk", seen)
