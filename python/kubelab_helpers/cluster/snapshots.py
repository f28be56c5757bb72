"""Snapshots of etcd on a control plane: made on a timer or by hand, verified as they are written, and listed.

https://etcd.io/docs/v3.6/op-guide/recovery/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.change import Change, stamp_of
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import Directory, File, Program
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import LocalProgram
from kubelab_helpers.hosts.template import render

DIRECTORY = "/var/lib/kubelab/snapshots"
PROGRAM = "/usr/local/libexec/kubelab/etcd-snapshot"
TIMER = "kubelab-etcd-snapshot.timer"
SERVICE = "kubelab-etcd-snapshot.service"
TOOLS = ("etcdctl", "etcdutl")
EVERY_HOURS, KEEP = 6, 12
STEP = "etcd snapshots"
STAMP = f"unit-{TIMER}"
"""Stands where the timer was set up."""

# One line a snapshot: path, tab, what etcdutl says of it as JSON. What it cannot read has no second word.
_LIST = """set -eu
for path in "$1"/etcd-*.db; do
  [ -f "$path" ] || continue
  said=$(/usr/local/bin/etcdutl snapshot status "$path" --write-out=json 2>/dev/null) || said=
  printf '%s\\t%s\\n' "$path" "$said"
done
"""


@dataclass(frozen=True)
class Snapshot:
    """One snapshot: `size` in bytes; `hash` is etcd's own of its content. `whole` is False for a damaged file."""

    path: str
    whole: bool
    hash: int = 0
    revision: int = 0
    keys: int = 0
    size: int = 0


def desire_snapshots(tools: Mapping[str, LocalProgram], hours: int = EVERY_HOURS, keep: int = KEEP) -> list[Change]:
    """Return what a control plane must have to make snapshots, and the timer that makes them."""
    service = render("etcd/snapshot.service", program=PROGRAM, directory=DIRECTORY, keep=keep)
    timer = render("etcd/snapshot.timer", hours=hours)
    return [
        *(Program(f"/usr/local/bin/{name}", tools[name].path, tools[name].sha256) for name in TOOLS),
        File(PROGRAM, render("etcd/snapshot.sh"), mode=0o755),
        Directory(DIRECTORY, mode=0o700),
        File(f"/etc/systemd/system/{SERVICE}", service),
        File(f"/etc/systemd/system/{TIMER}", timer),
        Unit(TIMER, stamp_of(service, timer)),
    ]


def require_control_plane(runner: Runner) -> None:
    """Refuse with BlockedError where there is no etcd of a control plane."""
    if runner.run(Command(("test", "-f", "/etc/kubernetes/manifests/etcd.yaml"))).status != 0:
        raise BlockedError(
            f"{runner.name} runs no etcd: snapshots are made on control planes",
            next_step="run the command on a control plane; `kubelab-host init` makes one",
        )


def create_snapshot(runner: Runner, keep: int = KEEP) -> Snapshot:
    """Make a snapshot now and return it; BlockedError when the host is not set up for that.

    The file has mode 0600: it holds all that the cluster knows. KubelabError leaves no half file behind.
    """
    if runner.run(Command(("test", "-x", PROGRAM))).status != 0:
        raise BlockedError(
            f"{runner.name} has no etcd snapshots set up", next_step="`kubelab-host snapshot enable` on a control plane"
        )
    path = runner.check(Command((PROGRAM, DIRECTORY, str(keep)), timeout_seconds=300)).text.strip()
    found = next((each for each in list_snapshots(runner) if each.path == path), None)
    if found is None or not found.whole:
        raise KubelabError(f"{runner.name}: {path} cannot be read back", repeat=f"etcdutl snapshot status {path}")
    return found


def list_snapshots(runner: Runner) -> list[Snapshot]:
    """Return the snapshots on a host, oldest first, each read through by etcdutl."""
    answer = runner.check(Command(("sh", "-c", _LIST, "list-snapshots", DIRECTORY), timeout_seconds=300))
    return parse_snapshots(answer.text)


def parse_snapshots(text: str) -> list[Snapshot]:
    """Return what the listing says, one snapshot a line."""
    found = []
    for line in text.splitlines():
        path, _, said = line.partition("\t")
        if not said:
            found.append(Snapshot(path, whole=False))
            continue
        status = json.loads(said)
        found.append(Snapshot(path, True, status["hash"], status["revision"], status["totalKey"], status["totalSize"]))
    return found
