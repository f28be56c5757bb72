"""What a lab leaves behind, and what it survives. The tests run in this order, on the lab of this checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from kubernetes import client, config

from kubelab_helpers.cluster import engine
from kubelab_helpers.errors import ExitStatus

ROOT = Path(__file__).resolve().parents[2]
KUBELAB = Path(sys.executable).parent / "kubelab"
UP_TIMEOUT_SECONDS = 900


def run(*arguments: str, cwd: Path = ROOT, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `kubelab` with arguments; its answer and its progress are kept apart."""
    command = [str(KUBELAB), *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        check=check,
        capture_output=True,
        text=True,
        timeout=UP_TIMEOUT_SECONDS,
        stdin=subprocess.DEVNULL,
    )


def up(*arguments: str) -> dict[str, Any]:
    """Run `kubelab up` and return its JSON answer."""
    answer: dict[str, Any] = json.loads(run("up", "--output", "json", *arguments).stdout)
    return answer


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    """Return each stage's outcome."""
    return {stage["name"]: stage["outcome"] for stage in answer["stages"]}


def left_on_machine() -> dict[str, set[str]]:
    """Return what a lab makes on a machine: containers, networks, volumes, mounts and network devices."""
    docker = engine.client()
    return {
        "containers": {name for each in docker.containers.list(all=True) if "kubelab" in (name := each.name or "")},
        "networks": {name for each in docker.networks.list() if "kubelab" in (name := each.name or "")},
        "volumes": {each.name for each in docker.volumes.list() if "kubelab" in each.name},
        "mounts": {
            line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if "kubelet" in line
        },
        "devices": {name for name in psutil.net_if_addrs() if name.startswith(("veth", "br-", "flannel", "cali"))},
    }


def test_down_leaves_nothing_but_the_cache() -> None:
    up("--replace")
    assert left_on_machine()["containers"]
    run("down", "--yes")
    assert left_on_machine() == {
        "containers": set(),
        "networks": set(),
        "volumes": set(),
        "mounts": set(),
        "devices": set(),
    }
    assert not (ROOT / ".kubelab/admin-password").exists()
    assert "nothing to remove" in run("down", "--yes").stdout


def test_up_goes_on_from_where_it_was_interrupted() -> None:
    """Ctrl-C while the nodes are prepared: exit status 4, no traceback; the same command then brings the hub up."""
    process = subprocess.Popen(
        [str(KUBELAB), "up"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if "import image" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == ExitStatus.PARTLY_DONE, seen + rest
    assert "Traceback" not in seen + rest
    answer = up()
    assert outcomes(answer)["prepare"] == "changed"
    assert json.loads(run("status", "--output", "json").stdout)["hub"]["healthy"]


def test_up_goes_on_after_being_killed() -> None:
    """SIGKILL in the middle of kubeadm init: the half is cleared away, and the same command ends well."""
    run("down", "--yes")
    process = subprocess.Popen(
        [str(KUBELAB), "up"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "kubeadm init kubelab" in line:
            time.sleep(4)  # into the middle of init, which takes about ten seconds; any moment of it will do
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait(timeout=30)
    assert outcomes(up())["control plane"] == "changed"
    assert json.loads(run("status", "--output", "json").stdout)["hub"]["healthy"]


def test_a_killed_node_comes_back() -> None:
    engine.client().containers.get("kubelab-worker-1").kill()
    assert outcomes(up())["nodes"] == "changed"
    assert json.loads(run("status", "--output", "json").stdout)["hub"]["healthy"]


def test_a_lab_of_another_checkout_is_taken_over(tmp_path: Path) -> None:
    """With the same inputs another checkout goes on with the lab as it is."""
    answer = json.loads(run("up", "--output", "json", cwd=tmp_path).stdout)
    assert outcomes(answer)["nodes"] == "unchanged"
    assert (tmp_path / answer["password_file"]).stat().st_mode & 0o777 == 0o600


def test_a_lab_from_other_inputs_is_only_replaced_when_asked(tmp_path: Path) -> None:
    (tmp_path / "kubelab.yaml").write_text("network: {containerSubnet: 172.30.251.0/24}\n")
    refused = run("up", cwd=tmp_path, check=False)
    assert refused.returncode == ExitStatus.BLOCKED
    assert "--replace" in refused.stderr
    assert "another checkout" in refused.stderr


def test_a_registry_that_gets_tls_and_a_password_still_serves_the_nodes(tmp_path: Path) -> None:
    """Kubelet pulls by the node's own authority and password, also for a pod that names no Secret."""
    (tmp_path / "kubelab.yaml").write_text("registry: {tls: true, authentication: true}\n")
    try:
        answer = json.loads(run("up", "--output", "json", cwd=tmp_path).stdout)
        assert {outcomes(answer)[name] for name in ("secrets", "prepare", "registry", "release")} == {"changed"}
        again = json.loads(run("up", "--output", "json", cwd=tmp_path).stdout)
        assert {outcomes(again)[name] for name in ("secrets", "prepare", "registry", "hosting")} == {"unchanged"}
        assert outcomes(again)["release"] == "unchanged"

        address = json.loads(run("registry", "status", "--output", "json", cwd=tmp_path).stdout)["registry"]["address"]
        authority = str(tmp_path / ".kubelab/registry/ca.crt")
        assert requests.get(f"https://{address}/v2/", verify=authority, timeout=10).status_code == 401
        assert json.loads(run("registry", "list", "--output", "json", cwd=tmp_path).stdout)["images"]
        connect: Any = config.new_client_from_config
        core: Any = client.CoreV1Api(connect(str(tmp_path / ".kubelab/kubeconfig")))
        said = core.read_namespaced_config_map("local-registry-hosting", "kube-public").data
        assert yaml.safe_load(said["localRegistryHosting.v1"])["host"] == "localhost:5000"
        for namespace in ("jupyterhub", "jupyterhub-storage"):
            assert core.read_namespaced_secret("kubelab-registry", namespace).type == "kubernetes.io/dockerconfigjson"
        digest = json.loads((tmp_path / ".kubelab/digests.json").read_text())["hub"]
        assert _pull(core, f"localhost:5000/kubelab/hub@{digest}") == "pulled"
    finally:
        answer = up()
    assert outcomes(answer)["registry"] == "changed"
    assert json.loads(run("status", "--output", "json").stdout)["hub"]["healthy"]


def _pull(core: Any, image: str) -> str:
    """Let kubelet ask the registry for an image, and return `pulled`, or why it was not."""
    container = {"name": "pull", "image": image, "imagePullPolicy": "Always", "command": ["true"]}
    body = {"metadata": {"name": "pull"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    core.create_namespaced_pod("default", body)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            found = core.list_namespaced_event("default", field_selector="involvedObject.name=pull").items
            told = {event.reason: event.message for event in found}
            if "Pulled" in told:
                return "pulled"
            if "Failed" in told:
                return str(told["Failed"])
            time.sleep(0.5)
        return "nothing was heard of it"
    finally:
        core.delete_namespaced_pod("pull", "default", grace_period_seconds=0)


@pytest.fixture(autouse=True)
def _require_room() -> None:
    assert shutil.disk_usage("/").free > 5 << 30, "less than 5 GiB of disk is free"
