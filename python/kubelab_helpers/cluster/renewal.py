"""A control plane's certificates renewed before they end: by a timer, or now.

kubeadm renews them with each upgrade too; kubelet renews its own by itself.
https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/
"""

from __future__ import annotations

from kubelab_helpers.cluster.programs import FOLDER, SHARED, shared_file
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.change import Change, stamp_of
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.runner import Runner
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.template import render

PROGRAM = f"{FOLDER}/renew-certificates"
TIMER = "kubelab-certificates.timer"
SERVICE = "kubelab-certificates.service"
STAMP = f"unit-{TIMER}"
"""Stands where the timer was set up."""
STEP = "certificates"
BELOW_DAYS = 60
"""The timer renews below it: twice the days at which `certs` begins to warn."""
ALL_DAYS = 100_000
TIMEOUT_SECONDS = 600


def desire_renewal(below_days: int = BELOW_DAYS) -> list[Change]:
    """Return what a control plane must have to renew its certificates, and the timer that looks once a day."""
    program = File(PROGRAM, render("certificates/renew.sh"), mode=0o755)
    service = render("certificates/renew.service", program=PROGRAM, days=below_days)
    timer = render("certificates/renew.timer")
    return [
        shared_file(),
        program,
        File(f"/etc/systemd/system/{SERVICE}", service),
        File(f"/etc/systemd/system/{TIMER}", timer),
        Unit(TIMER, stamp_of(service, timer)),
    ]


def renew_certificates(runner: Runner, below_days: int = ALL_DAYS) -> str:
    """Renew now if fewer days are left than `below_days`, and return what was done, one line.

    etcd and the API server start anew: without another control plane the API is away for some seconds. BlockedError
    where it is not set up.
    """
    if runner.run(Command(("test", "-x", PROGRAM))).status != 0 or runner.run(Command(("test", "-f", SHARED))).status:
        raise BlockedError(
            f"{runner.name} is not set up to renew certificates",
            next_step="`kubelab-host init` or `kubelab cluster apply` sets a control plane up; run it again there",
        )
    done = runner.check(Command((PROGRAM, str(below_days)), timeout_seconds=TIMEOUT_SECONDS))
    return done.text.strip().splitlines()[-1]
