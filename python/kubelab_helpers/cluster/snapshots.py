"""Snapshots of etcd on a control plane: made on a timer or by hand, verified as they are written, and listed.

https://etcd.io/docs/v3.6/op-guide/recovery/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from kubelab_helpers.cluster.programs import FOLDER, shared_file
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.change import BACKUPS, Change, stamp_of
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import Directory, File, Program
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import LocalProgram
from kubelab_helpers.hosts.template import render

DIRECTORY = "/var/lib/kubelab/snapshots"
PROGRAM = f"{FOLDER}/etcd-snapshot"
RESTORE_PROGRAM = f"{FOLDER}/etcd-restore"
TIMER = "kubelab-etcd-snapshot.timer"
SERVICE = "kubelab-etcd-snapshot.service"
TOOLS = ("etcdctl", "etcdutl")
EVERY_HOURS, KEEP = 6, 12
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
ETCD_CERTIFICATE = "/etc/kubernetes/pki/etcd/server.crt"
"""There also while a restore that was cut off holds the manifest back."""
RESTORE_SECONDS = 900
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
        shared_file(),
        File(PROGRAM, render("etcd/snapshot.sh"), mode=0o755),
        File(RESTORE_PROGRAM, render("etcd/restore.sh"), mode=0o755),
        Directory(DIRECTORY, mode=0o700),
        File(f"/etc/systemd/system/{SERVICE}", service),
        File(f"/etc/systemd/system/{TIMER}", timer),
        Unit(TIMER, stamp_of(service, timer)),
    ]


# A member list that needs no quorum, so that a cluster that has lost it can be told too.
_MEMBERS = """cd /etc/kubernetes/pki/etcd
exec /usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 --cacert=ca.crt --cert=healthcheck-client.crt \\
    --key=healthcheck-client.key --command-timeout=5s member list --consistency=s --write-out=json
"""


def require_control_plane(runner: Runner) -> None:
    """Refuse with BlockedError where there is no etcd of a control plane."""
    if runner.run(Command(("test", "-f", ETCD_CERTIFICATE))).status != 0:
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


def restore_snapshot(runner: Runner, path: str) -> str:
    """Let etcd begin again with what a snapshot holds; return where the data of before is kept.

    The API is away for that long. Pods go on; those that the snapshot does not know end, and what it knows comes back.
    BlockedError, before anything is touched, for a snapshot that is damaged or not there, and for a cluster whose other
    control planes still run: theirs would be the other half of a cluster that disagrees.
    """
    found = next((each for each in list_snapshots(runner) if each.path == path), None)
    if found is None or not found.whole:
        raise BlockedError(
            f"{runner.name}: {path} is {'damaged' if found else 'no snapshot of this host'}",
            next_step="choose one of `kubelab-host snapshot list`; copy one from elsewhere "
            f"to {DIRECTORY}/etcd-NAME.db first",
        )
    others = _find_other_members(runner)
    if others:
        raise BlockedError(
            f"{', '.join(others)} belong to etcd too, and would go on with the other data",
            next_step="take them out first (`kubelab cluster remove NAME --yes`), and let them join anew afterwards",
        )
    kept = f"{BACKUPS}/etcd-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    runner.check(Command((RESTORE_PROGRAM, path, kept), timeout_seconds=RESTORE_SECONDS))
    return kept


def _find_other_members(runner: Runner) -> list[str]:
    """Return the other members as etcd tells them, also one that has no quorum; none where etcd does not answer."""
    asked = runner.run(Command(("sh", "-c", _MEMBERS, "members"), timeout_seconds=30))
    if asked.status != 0:
        return []
    own = _own_name(runner)
    members = json.loads(asked.text)["members"]
    return [each.get("name") or each["peerURLs"][0] for each in members if each.get("name") != own]


def _own_name(runner: Runner) -> str:
    manifest = runner.check(Command(("cat", MANIFEST))).text
    return next(line.rpartition("--name=")[2] for line in manifest.splitlines() if "- --name=" in line)


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
