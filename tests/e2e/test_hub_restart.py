"""A hub that is replaced: whoever works goes on working."""

from __future__ import annotations

import time

from kubelab_helpers.cluster.health import is_pod_ready
from kubelab_helpers.release.deploy import NAMESPACE, RELEASE

from .hub import HubSession
from .kernel import open_kernel
from .lab import Lab
from .waiting import wait_until
from .watch import keep_asking

SELECTOR = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=hub"


def test_a_server_answers_all_the_while_a_hub_is_replaced(lab: Lab, ada: HubSession) -> None:
    """As an upgrade does it: the old hub ends before the new one begins. No request to a running server fails."""
    (old,) = lab.core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items

    def is_replaced() -> bool:
        pods = lab.core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR).items
        return [each.metadata.uid != old.metadata.uid and is_pod_ready(each) for each in pods] == [True]

    with open_kernel(ada) as kernel:
        kernel.run("before = 41")
        with keep_asking(lambda: ada.call("GET", f"/user/{ada.name}/api/status", timeout=10)) as watch:
            began = time.monotonic()
            lab.core.delete_namespaced_pod(old.metadata.name, NAMESPACE)
            wait_until("another hub is ready", is_replaced, 120)
            seconds = time.monotonic() - began
        assert kernel.run("print(before + 1)").stdout == "42\n"
    print(f"{seconds:.1f} s without a hub; {len(watch.answered)} answers of a server meanwhile")
    assert watch.failures == []
    assert len(watch.answered) > 5
    assert ada.open("/hub/home").status == 200
