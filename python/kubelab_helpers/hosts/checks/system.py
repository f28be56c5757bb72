"""The operating system of a host: distribution, init, rights, name, clock, security modules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.distribution import distribution_of, load_distributions
from kubelab_helpers.hosts.findings import Finding, Subject, blocked, note, ok, warning

NAME_PATTERN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
NAME_LENGTH = 63
"""Linux takes 64; Kubernetes makes the name a label's value, which takes 63."""
NAME_LINK = "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names"
TIME_UNITS = frozenset({"chrony", "chronyd", "ntp", "ntpsec", "systemd-timesyncd"})


def check_distribution(subject: Subject) -> Iterator[Finding]:
    """Kubelab knows the distribution's package names."""
    seen = subject.facts.os_name or f"{subject.facts.os_id} {subject.facts.os_version}"
    try:
        distribution_of(subject.facts, load_distributions())
    except BlockedError as error:
        yield blocked("distribution", "a distribution that kubelab does not know", seen, error.next_step)
    else:
        yield ok("distribution", "a distribution that kubelab knows", seen)


def check_init(subject: Subject) -> Iterator[Finding]:
    """Systemd starts and restarts containerd and kubelet."""
    seen = f"process 1 is {subject.facts.init}, systemd {subject.facts.systemd or 'absent'}"
    if subject.facts.init == "systemd":
        yield ok("init", "systemd is process 1", seen)
    else:
        yield blocked("init", "systemd is not process 1", seen, "use a host that boots systemd")


def check_rights(subject: Subject) -> Iterator[Finding]:
    """Root, or sudo without a password."""
    who = "root" if subject.facts.uid == 0 else f"user {subject.facts.uid}"
    if subject.facts.privileged:
        yield ok("rights", "may change the host", who)
    else:
        yield blocked("rights", "neither root nor sudo without a password", who, "run it as root, or allow `sudo -n`")


def check_name(subject: Subject) -> Iterator[Finding]:
    """A name that Kubernetes takes (RFC 1123), and that is not every host's."""
    name = subject.name
    if name.partition(".")[0] == "localhost":
        fault = "it is every host's name"
    elif len(name) > NAME_LENGTH:
        fault = f"it has {len(name)} characters, {NAME_LENGTH} are taken"
    elif not NAME_PATTERN.fullmatch(name):
        fault = "only lower-case letters, digits, hyphens and dots are taken"
    else:
        yield ok("name", "a host name that Kubernetes takes", name)
        return
    yield blocked(
        "name",
        "a host name that Kubernetes does not take",
        f"{name}: {fault}",
        "hostnamectl set-hostname NAME, or name the node with --name",
        NAME_LINK,
    )


def check_time(subject: Subject) -> Iterator[Finding]:
    """The clock follows a time server: certificates and etcd's leases depend on it."""
    running = sorted(TIME_UNITS & subject.facts.active_units)
    if subject.facts.time_synchronized == "yes" or running:
        yield ok("time", "the clock is kept right", ", ".join(running) or "synchronized")
    else:
        yield warning(
            "time",
            "nothing seems to keep the clock right",
            "no time service runs here",
            "install chrony, unless the machine below keeps the clock",
        )


def check_security_modules(subject: Subject) -> Iterator[Finding]:
    """SELinux is made permissive by kubelab, and put back by a reset; AppArmor stays."""
    if subject.facts.selinux == "enforcing":
        yield warning(
            "selinux",
            "SELinux is enforcing",
            "enforcing",
            "kubelab makes it permissive, and a reset makes it enforcing again",
        )
    elif subject.facts.selinux:
        yield ok("selinux", "SELinux does not stand in the way", subject.facts.selinux)
    if subject.facts.apparmor:
        yield note("apparmor", "AppArmor is there, and containerd uses it", "enabled")
