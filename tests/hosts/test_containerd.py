"""A host whose containerd configuration others wrote: what they set works in the cluster, and comes back whole."""

from __future__ import annotations

import tomllib

import pytest

from kubelab_helpers.cluster.kubeadm import ADMIN_KUBECONFIG
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.containerd_config import PATH
from kubelab_helpers.hosts.executor import converge, end_run, read_plan
from kubelab_helpers.hosts.reset import reset_host
from kubelab_helpers.hosts.state import probe_state
from kubelab_helpers.result import SilentReporter

from .machines import Machine, bare_hosts
from .node import node_of, steps_of
from .waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SILENT = SilentReporter()
# As an old package leaves it, with a second runtime, as for GPUs, and what containerd 2 would refuse beside certs.d.
FOUND = """# The lab's own settings.
version = 2
disabled_plugins = ["cri"]

[metrics]
address = "127.0.0.1:1338"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "registry.example/pause:3.6"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other.options]
BinaryName = "/usr/local/sbin/other-runc"
SystemdCgroup = true
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
endpoint = ["https://mirror.example"]
"""
OTHER_RUNC = """#!/bin/sh
touch /run/other-runc-was-called
exec /usr/local/sbin/runc "$@"
"""
POD = """
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: other}
handler: other
---
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec:
  runtimeClassName: other
  tolerations: [{operator: Exists}]
  containers: [{name: probe, image: "localhost:5000/kubelab/pause:3.10.2", imagePullPolicy: Never}]
"""


def write(machine: Machine, path: str, mode: str, content: str) -> None:
    machine.shell('mkdir -p "$(dirname "$1")"; printf %s "$3" >"$1"; chmod "$2" "$1"', path, mode, content)


def test_another_runtime_goes_on_in_the_cluster_and_all_comes_back() -> None:
    cluster, subnet = "kl4h-containerd", "172.30.232.0/24"
    with bare_hosts(cluster, subnet, ["one"]) as (one,):
        write(one, PATH, "640", FOUND)
        write(one, "/usr/local/sbin/other-runc", "755", OTHER_RUNC)
        lab, node = node_of(cluster, "one", subnet)
        converge(one.runner, steps_of(lab), node, SILENT, "one")
        end_run(one.runner, probe_state(one.runner, ()))

        used = tomllib.loads(one.run("containerd", "config", "dump"))
        runtimes = used["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]
        assert runtimes["other"]["options"]["BinaryName"] == "/usr/local/sbin/other-runc"
        assert runtimes["runc"]["options"]["SystemdCgroup"] is True
        assert "mirror.example" not in one.run("cat", PATH)
        kubectl = ("kubectl", f"--kubeconfig={ADMIN_KUBECONFIG}", "--cache-dir=/run/kubectl")
        one.run(*kubectl, "wait", "node/one", "--for=condition=Ready", "--timeout=120s", timeout_seconds=130)
        account = Command((*kubectl, "get", "serviceaccount", "default"))
        wait_until(lambda: one.runner.run(account).status == 0, 60, "the namespace has its account")
        one.shell('printf %s "$1" | kubectl --kubeconfig="$2" apply -f -', POD, ADMIN_KUBECONFIG)
        one.run(*kubectl, "wait", "pod/probe", "--for=condition=Ready", "--timeout=90s", timeout_seconds=100)
        assert one.run("ls", "/run/other-runc-was-called")
        # Read again, it is as it is to be.
        assert [each.change.id for each in read_plan(one.runner, steps_of(lab), node)[0].changes] == []

        reset_host(one.runner, "one", SILENT)
        assert one.run("cat", PATH) == FOUND
        assert one.run("stat", "-c", "%a", PATH).strip() == "640"
