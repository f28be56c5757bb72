"""What a check can only learn by trying: the disk's latency and the kernel's features. Nothing of it is left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kubelab_helpers import resources
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.findings import Finding, blocked, note, ok, warning
from kubelab_helpers.hosts.runner import Runner

WRITES = 300
WRITE_BYTES = 2300
"""The size of etcd's own writes: https://etcd.io/docs/v3.6/op-guide/hardware/ and etcd's fio recipe."""
FSYNC_P99_MS = 10.0
ETCD_LINK = "https://etcd.io/docs/v3.6/faq/#what-does-the-etcd-warning-failed-to-send-out-heartbeat-on-time-mean"
NEEDED = frozenset({"vxlan", "bridge", "veth", "nftables", "nftables-nat", "overlay", "iptables-masquerade"})
"""Without these no pod gets a network; the others are the policy engine's."""


def measure_fsync(folder: Path, writes: int = WRITES) -> tuple[float, float]:
    """Return the median and the 99th percentile, in milliseconds, of writes as etcd makes them, each made durable."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:  # it has no name, so that not even a kill leaves it there
        for _ in range(writes):
            began = time.perf_counter()
            file.write(os.urandom(WRITE_BYTES))
            file.flush()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]


def check_disk(folder: Path) -> Iterator[Finding]:
    """Measure the disk under a folder; BlockedError where it cannot be written."""
    try:
        median, slowest = measure_fsync(folder)
    except OSError as error:
        raise BlockedError(f"{folder} cannot be written: {error.strerror}", next_step="run it as root") from error
    seen = f"{WRITES} writes under {folder}: median {median:.2f} ms, 99th percentile {slowest:.2f} ms"
    if slowest <= FSYNC_P99_MS:
        yield ok("fsync", "the disk is fast enough for etcd", seen)
    else:
        yield warning(
            "fsync",
            "the disk is slow for etcd",
            f"{seen}; etcd wants {FSYNC_P99_MS:g} ms",
            "put /var/lib/etcd on an SSD",
            ETCD_LINK,
        )


def check_features(runner: Runner) -> Iterator[Finding]:
    """Try the kernel's features in namespaces that go with the trial; BlockedError where that is not allowed."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        raise BlockedError("only root can make a network namespace, with `unshare`", next_step="run it as root")
    script = resources.path("host-setup/probe/active.sh").read_bytes()
    with tempfile.TemporaryDirectory(prefix="kubelab-check-") as folder:
        command = Command(("sh", "-c", script.decode(), "active", folder), stdin=script, timeout_seconds=30)
        lines = runner.check(command).text.splitlines()
    for line in lines:
        name, _, said = line.partition("\t")
        if said == "ok":
            yield ok(f"try-{name}", f"{name} works")
        elif said == "absent":
            yield note(f"try-{name}", f"{name} could not be tried", "no program for it yet", "kubelab installs it")
        elif name in NEEDED:
            yield blocked(
                f"try-{name}", f"{name} does not work", said, "use the distribution's own kernel, with its modules"
            )
        else:
            yield warning(
                f"try-{name}", f"{name} does not work", said, "network policies may not be enforced without it"
            )


def reach(url: str, timeout_seconds: float = 5.0) -> Finding:
    """Ask a registry that the user named whether it answers; any HTTP status is an answer."""
    import requests

    try:
        status = requests.head(url, timeout=timeout_seconds, allow_redirects=False).status_code
    except requests.RequestException as error:
        return blocked(
            "registry",
            f"{url} does not answer",
            type(error).__name__,
            "look at the address, the proxy and trust.caBundle",
        )
    return ok("registry", f"{url} answers", f"status {status}")
