"""What users' servers start from is on the nodes before anybody asks, and stays so."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab_helpers.cluster.spec import HostSpec
from kubelab_helpers.release.deploy import COMPONENT, IMAGE_PULLER, NAMESPACE

from .lab import Lab, pythons_of, read_answer, run_kubelab
from .pods import Pod
from .waiting import wait_until

SELECTOR = f"{COMPONENT}={IMAGE_PULLER}"
READY_TIMEOUT_SECONDS = 120.0
PULL_TIMEOUT_SECONDS = 300.0
TOKEN = "import os; print(os.path.exists('/var/run/secrets/kubernetes.io'), end='')"


@pytest.fixture(scope="module")
def puller(lab: Lab) -> Any:
    """The DaemonSet of the lab; without further profiles there is one."""
    (found,) = lab.apps.list_namespaced_daemon_set(NAMESPACE, label_selector=SELECTOR).items
    return found


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> tuple[HostSpec, ...]:
    """The hosts on which a user's server may run."""
    return lab.spec.workers


def name_in_containerd(image: str) -> str:
    """The name by which kubelet asks for `repository:tag@digest`."""
    title, _, digest = image.partition("@")
    return f"{title.rpartition(':')[0]}@{digest}"


def images_on(lab: Lab, host: HostSpec) -> set[str]:
    """The names of all images that a node has."""
    return set(lab.run_on(host, "ctr", "--namespace=k8s.io", "images", "list", "--quiet").split())


def test_each_python_is_pulled_by_digest(lab: Lab, puller: Any) -> None:
    images = [each.image for each in puller.spec.template.spec.init_containers]
    assert {f"py{version}" for version in pythons_of(lab.spec)} <= {
        image.partition("@")[0].rpartition("-")[2] for image in images
    }
    assert all("@sha256:" in image for image in images)


def test_every_node_has_each_image(lab: Lab, puller: Any, hosts: tuple[HostSpec, ...]) -> None:
    wanted = {name_in_containerd(each.image) for each in puller.spec.template.spec.init_containers}
    assert {host.name: wanted - images_on(lab, host) for host in hosts} == {host.name: set() for host in hosts}


def test_the_daemon_set_is_ready_on_the_nodes_of_the_users(lab: Lab, puller: Any, hosts: tuple[HostSpec, ...]) -> None:
    """Also under the restricted standard, which the namespace enforces."""

    def read_ready() -> Any:
        status = lab.apps.read_namespaced_daemon_set(puller.metadata.name, NAMESPACE).status
        return status if status.number_ready == len(hosts) else None

    status = wait_until("the image puller is ready", read_ready, READY_TIMEOUT_SECONDS)
    assert status.desired_number_scheduled == len(hosts)
    pods = lab.core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
    assert {pod.spec.node_name for pod in pods} == {host.name for host in hosts}


def test_its_pods_have_no_token_and_reach_nobody(lab: Lab) -> None:
    pods = lab.core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
    (proxy,) = lab.core.list_namespaced_pod(NAMESPACE, label_selector=f"{COMPONENT}=proxy").items
    assert pods
    for each in pods:
        assert not each.spec.volumes
        pod = Pod(lab.core, NAMESPACE, each.metadata.name, each.status.pod_ip)
        assert pod.python(TOKEN) == "False"
        assert pod.connect(proxy.status.pod_ip, lab.proxy_port) == "timeout"


def test_prepull_again_changes_nothing(hosts: tuple[HostSpec, ...]) -> None:
    answer = read_answer(run_kubelab("image", "prepull", "-o", "json"))
    assert {each["node"] for each in answer["pulls"]} == {host.name for host in hosts}
    assert [each for each in answer["pulls"] if each["changed"] or each["problem"]] == []


def test_an_image_that_is_gone_is_pulled_again(lab: Lab, puller: Any, hosts: tuple[HostSpec, ...]) -> None:
    """Whatever was done before: what containerd has decides. `--dry-run` says so first, and does nothing."""
    image = puller.spec.template.spec.init_containers[-1].image
    title, name = image.partition("@")[0], name_in_containerd(image)
    lab.run_on(hosts[0], "ctr", "--namespace=k8s.io", "images", "remove", name)
    expected = [(hosts[0].name, title)]
    try:
        told = read_answer(run_kubelab("image", "prepull", "--dry-run", "-o", "json"))
        assert [(each["node"], each["image"]) for each in told["pulls"]] == expected
        assert name not in images_on(lab, hosts[0])
    finally:
        ended = run_kubelab("image", "prepull", "-o", "json", timeout_seconds=PULL_TIMEOUT_SECONDS)
    pulls = read_answer(ended)["pulls"]
    assert [(each["node"], each["image"]) for each in pulls if each["changed"]] == expected
    assert name in images_on(lab, hosts[0])


def test_a_node_that_runs_no_servers_is_refused(lab: Lab) -> None:
    """The control plane of a lab with workers."""
    ended = run_kubelab("image", "prepull", "--node", lab.control_plane.name)
    assert ended.returncode == 2
    assert f"no user's server may run on {lab.control_plane.name}" in ended.stderr
