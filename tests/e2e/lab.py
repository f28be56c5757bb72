"""The lab under test as its operator has it: the cluster's API, its container nodes, and the command `kubelab`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import docker
from kubernetes import client, config

from kubelab_helpers.cluster.spec import HostSpec, LabSpec, read_spec
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.release.deploy import ADMIN_SECRET, NAMESPACE

ROOT = Path(__file__).resolve().parents[2]
KUBELAB = Path(sys.executable).with_name("kubelab")


@dataclass(frozen=True)
class Lab:
    """A lab that runs on this machine."""

    spec: LabSpec
    folder: Path

    @property
    def address(self) -> str:
        """Where a person finds the hub."""
        if self.spec.values.get("tls", {}).get("enabled"):
            return f"https://127.0.0.1:{self.spec.ports.https}"
        return f"http://127.0.0.1:{self.spec.ports.http}"

    @property
    def proxy_port(self) -> int:
        """The port of the proxy's pod by which people come in."""
        return 8443 if self.address.startswith("https") else 8000

    @property
    def authority(self) -> Path:
        """The CA of the hub's certificate, where it is reached by HTTPS."""
        return self.folder / "hub-ca.crt"

    @property
    def control_plane(self) -> HostSpec:
        """The host of the control plane."""
        return self.spec.control_planes[0]

    @property
    def worker(self) -> HostSpec:
        """The first host that only runs pods."""
        return self.spec.workers[0]

    # The client's own types call every field of every object optional; Any keeps the tests readable.

    @cached_property
    def api(self) -> Any:
        """The cluster's API, as its admin."""
        connect: Any = config.new_client_from_config
        return connect(str(self.folder / "kubeconfig"))

    @cached_property
    def core(self) -> Any:
        """The API of pods, Secrets, claims, Services and the like."""
        return client.CoreV1Api(self.api)

    @cached_property
    def apps(self) -> Any:
        """The API of Deployments."""
        return client.AppsV1Api(self.api)

    @cached_property
    def networking(self) -> Any:
        """The API of NetworkPolicies."""
        return client.NetworkingV1Api(self.api)

    @cached_property
    def storage(self) -> Any:
        """The API of storage classes."""
        return client.StorageV1Api(self.api)

    @cached_property
    def engine(self) -> docker.DockerClient:
        """The machine's Docker, on which the nodes run."""
        return docker.from_env(timeout=60)

    def run_on(self, host: HostSpec, *argv: str) -> str:
        """Run a command on a node as root and return what it printed; AssertionError with its output if it fails."""
        node = self.engine.containers.get(f"{self.spec.name}-{host.name}")
        status, output = node.exec_run(list(argv))
        text = cast("bytes", output).decode(errors="replace")
        assert status == 0, f"{argv} on {host.name}: exit status {status}: {text}"
        return text

    def admin(self) -> tuple[str, str]:
        """Return the name and the password in the generated Secret."""
        data = self.core.read_namespaced_secret(ADMIN_SECRET, NAMESPACE).data
        return base64.b64decode(data["username"]).decode(), base64.b64decode(data["password"]).decode()


FILE_VARIABLE = "KUBELAB_TEST_FILE"
"""Names the lab's file where it is not kubelab.yaml; `make e2e-tls` sets it."""


def read_lab() -> Lab:
    """Return the lab that its file, or its absence, describes."""
    file = ROOT / os.environ.get(FILE_VARIABLE, "kubelab.yaml")
    return Lab(read_spec(file if file.exists() else None), ROOT / ".kubelab")


def pythons_of(spec: LabSpec) -> list[str]:
    """Return the Pythons that users of a lab choose from."""
    return list(spec.pythons or [each.version for each in load_catalog().pythons.values() if each.default])


def kubelab_argv(*arguments: str) -> list[str]:
    """Return the argv of a command on the lab under test."""
    named = os.environ.get(FILE_VARIABLE)
    return [str(KUBELAB), *arguments, *(["--file", named] if named else [])]


def run_kubelab(*arguments: str, timeout_seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `kubelab` in the checkout as a person would, with its output kept."""
    command = kubelab_argv(*arguments)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_seconds, check=False)


def read_answer(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON that a command printed; AssertionError with its errors if it failed."""
    assert ended.returncode == 0, f"{ended.args}: exit status {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer
