"""What a user's server is allowed, seen from inside of it and from the cluster's side."""

from __future__ import annotations

import pytest

from kubelab_helpers.release.deploy import NAMESPACE

from .hub import HubSession
from .kernel import open_kernel
from .lab import Lab
from .pods import find_server

READ_STATUS = """
from pathlib import Path
for line in Path('/proc/self/status').read_text().splitlines():
    print(line)
"""
WRITE_ELSEWHERE = """
from pathlib import Path
for folder in ('/', '/etc', '/usr/local/bin', '/root'):
    try:
        Path(folder, 'e2e').touch()
    except OSError as error:
        print(folder, type(error).__name__)
    else:
        print(folder, 'written')
"""


@pytest.fixture(scope="module")
def process(ada: HubSession) -> dict[str, str]:
    """Fields of /proc/self/status in a cell."""
    with open_kernel(ada) as kernel:
        lines = kernel.run(READ_STATUS).stdout.splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_kernel_has_no_capability(process: dict[str, str]) -> None:
    """None in effect, and none that it could take."""
    assert {int(process[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}


def test_kernel_is_confined_by_seccomp_and_cannot_gain_privileges(process: dict[str, str]) -> None:
    """Mode 2 is a filter: https://docs.kernel.org/userspace-api/seccomp_filter.html."""
    assert (process["Seccomp"], process["NoNewPrivs"]) == ("2", "1")


def test_kernel_runs_as_an_ordinary_user(process: dict[str, str], ada: HubSession) -> None:
    """User 1000, group 100, and not in root's group."""
    assert set(process["Uid"].split()) == {"1000"}
    assert set(process["Gid"].split()) == {"100"}
    assert "0" not in process["Groups"].split()
    with open_kernel(ada) as kernel:
        written = kernel.run(WRITE_ELSEWHERE).stdout.splitlines()
    assert {line.split()[1] for line in written} <= {"PermissionError", "OSError", "FileNotFoundError"}


def test_server_has_no_token_of_a_service_account(ada: HubSession) -> None:
    """And its environment names none of the namespace's Services."""
    with open_kernel(ada) as kernel:
        assert kernel.run("import os; os.path.exists('/var/run/secrets/kubernetes.io')").result == "False"
        # The kubelet always names the API server; other Services would come with enableServiceLinks.
        services = kernel.run("[each for each in os.environ if each.endswith('_SERVICE_HOST')]").result
        assert services == "['KUBERNETES_SERVICE_HOST']"


def test_pod_says_the_same(lab: Lab, ada: HubSession) -> None:
    """The pod's spec asks for it, for every container: the kernel's view is no accident of this node."""
    spec = lab.core.read_namespaced_pod(find_server(lab, ada.name).name, NAMESPACE).spec
    assert spec.automount_service_account_token is False
    assert spec.security_context.run_as_non_root is True
    assert spec.security_context.seccomp_profile.type == "RuntimeDefault"
    for container in [*spec.containers, *(spec.init_containers or [])]:
        assert container.security_context.capabilities.drop == ["ALL"]
        assert container.security_context.allow_privilege_escalation is False
        assert container.resources.limits["memory"]
        assert container.resources.requests["memory"]
