"""Where pods run, what they push away, and how many of them a drain may take."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Manifest, Render

PURPOSE = "hub.jupyter.org/node-purpose"
CORE = ["jupyterhub-hub", "jupyterhub-proxy"]


def pod_of(rendered: Render, kind: str, name: str) -> Manifest:
    """The spec of the pod that an object makes."""
    spec: Manifest = rendered.get(kind, name)["spec"]["template"]["spec"]
    return spec


def singleuser(rendered: Render) -> dict[str, Any]:
    """What the hub knows of users' servers."""
    data = rendered.get("ConfigMap", "jupyterhub-hub")["data"]["settings.json"]
    return dict(json.loads(data)["singleuser"])


def purposes(match: str) -> dict[str, Any]:
    """Values in which nodes' purposes mean `match`."""
    return {"scheduling": {pods: {"nodeAffinity": {"matchNodePurpose": match}} for pods in ("corePods", "userPods")}}


def test_a_required_purpose_is_a_selector_beside_the_own_one(render: Callable[..., Render]) -> None:
    """Two required affinity terms would be a choice between them, and a profile's selector goes over it."""
    own = {"hub": {"nodeSelector": {"disk": "fast"}}, "singleuser": {"nodeSelector": {"disk": "slow"}}}
    rendered = render({**purposes("require"), **own})
    assert pod_of(rendered, "Deployment", CORE[0])["nodeSelector"] == {"disk": "fast", PURPOSE: "core"}
    assert pod_of(rendered, "Deployment", CORE[1])["nodeSelector"] == {PURPOSE: "core"}
    assert pod_of(rendered, "Job", "jupyterhub-make-secrets")["nodeSelector"] == {"disk": "fast", PURPOSE: "core"}
    wanted = {"disk": "slow", PURPOSE: "user"}
    assert singleuser(rendered)["nodeSelector"] == wanted
    assert pod_of(rendered, "DaemonSet", "jupyterhub-image-puller")["nodeSelector"] == wanted


def test_a_preferred_purpose_keeps_nobody_waiting(default: Render) -> None:
    """The default, so that a cluster without the label runs everything."""
    for name, purpose in ((CORE[0], "core"), (CORE[1], "core")):
        pod = pod_of(default, "Deployment", name)
        assert "nodeSelector" not in pod
        affinity = pod["affinity"]["nodeAffinity"]
        assert set(affinity) == {"preferredDuringSchedulingIgnoredDuringExecution"}
        (term,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert term["preference"]["matchExpressions"] == [{"key": PURPOSE, "operator": "In", "values": [purpose]}]
    (preferred,) = singleuser(default)["extraNodeAffinity"]["preferred"]
    assert preferred["preference"]["matchExpressions"] == [{"key": PURPOSE, "operator": "In", "values": ["user"]}]


def test_an_ignored_purpose_leaves_nothing(render: Callable[..., Render]) -> None:
    rendered = render(purposes("ignore"))
    assert all("affinity" not in pod_of(rendered, "Deployment", name) for name in CORE)
    assert singleuser(rendered)["extraNodeAffinity"] == {"required": [], "preferred": []}


def test_priorities_are_of_the_release(render: Callable[..., Render]) -> None:
    """Pullers stand below what people use. Their names have the namespace, and the value, which nobody may change."""
    rendered = render({"scheduling": {"podPriority": {"enabled": True}}})
    values = {each["metadata"]["name"]: each["value"] for each in rendered.all("PriorityClass")}
    default, pullers = "jupyterhub-jupyterhub-0", "jupyterhub-jupyterhub-image-puller--5"
    assert values == {default: 0, pullers: -5}
    for name in CORE:
        assert pod_of(rendered, "Deployment", name)["priorityClassName"] == default
    assert singleuser(rendered)["priorityClassName"] == default
    assert pod_of(rendered, "DaemonSet", "jupyterhub-image-puller")["priorityClassName"] == pullers
    # A hook runs before there are any.
    assert "priorityClassName" not in pod_of(rendered, "Job", "jupyterhub-make-secrets")


@pytest.mark.parametrize("name", CORE)
def test_a_budget_never_keeps_a_node_from_being_drained(scenario: Render, name: str) -> None:
    """There is one pod of each; `minAvailable: 1`, as others have it, would hold it for ever."""
    spec = scenario.get("PodDisruptionBudget", name)["spec"]
    assert spec["maxUnavailable"] in {1, "100%"}
    template = scenario.get("Deployment", name)["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_what_else_a_pod_should_say_stands_over_the_charts_own(render: Callable[..., Render]) -> None:
    """And leaves the rest as it is."""
    extra = {"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["ldap"]}], "enableServiceLinks": True}
    values = {"hub": {"extraPodSpec": extra}, "proxy": {"chp": {"extraPodSpec": {"runtimeClassName": "kata"}}}}
    before, after = render(), render(values)
    for name, said in ((CORE[0], extra), (CORE[1], {"runtimeClassName": "kata"})):
        assert pod_of(after, "Deployment", name) == {**pod_of(before, "Deployment", name), **said}
