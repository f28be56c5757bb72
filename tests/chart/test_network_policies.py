"""Who may talk to whom: each policy selects pods that exist, and each pair of the chart has both its sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conftest import Render

SINGLEUSER = {"app.kubernetes.io/instance": "jupyterhub", "app.kubernetes.io/component": "singleuser-server"}


def component(labels: dict[str, str]) -> str:
    """The component that a set of labels selects."""
    return labels["app.kubernetes.io/component"]


def peers(rules: list[dict[str, Any]], side: str) -> set[tuple[str, object]]:
    """The pairs of component and port that rules allow; `*` where they name no peer."""
    pairs = set()
    for rule in rules:
        for port in rule.get("ports", [{}]):
            for peer in rule.get(side, [{}]):
                name = component(peer["podSelector"]["matchLabels"]) if "podSelector" in peer else "*"
                pairs.add((name, port.get("port")))
    return pairs


def test_what_may_come_in(default: Render) -> None:
    """The proxy is the only way in; a user's server answers hub and proxy alone."""
    inward = {
        each["metadata"]["name"]: peers(each["spec"].get("ingress", []), "from")
        for each in default.all("NetworkPolicy")
    }
    assert inward == {
        "jupyterhub-default-deny": set(),
        "jupyterhub-hub": {("proxy", "http"), ("singleuser-server", "http")},
        "jupyterhub-proxy": {("*", "http"), ("hub", "api")},
        "jupyterhub-singleuser": {("hub", 8888), ("proxy", 8888)},
        "jupyterhub-image-puller": set(),
        "jupyterhub-make-secrets": set(),
        "jupyterhub-storage": set(),
        "jupyterhub-storage-helper": set(),
        "jupyterhub-test-hub": set(),
    }


def test_what_may_go_out(default: Render) -> None:
    """Pods that need the API server reach its ports; the helper reaches nobody."""
    api_server = {("*", 443), ("*", 6443)}
    dns = {("*", 53)}
    outward = {each["metadata"]["name"]: peers(each["spec"]["egress"], "to") for each in default.all("NetworkPolicy")}
    assert outward == {
        "jupyterhub-default-deny": set(),
        "jupyterhub-hub": {("proxy", 8001), ("singleuser-server", 8888)} | dns | api_server,
        "jupyterhub-proxy": {("hub", 8081), ("singleuser-server", 8888)} | dns,
        "jupyterhub-singleuser": {("hub", 8081), ("*", None)} | dns,
        "jupyterhub-image-puller": set(),
        "jupyterhub-make-secrets": api_server,
        "jupyterhub-storage": api_server,
        "jupyterhub-storage-helper": set(),
        "jupyterhub-test-hub": {("proxy", 8000)} | dns,
    }


def test_each_policy_says_both_directions(scenario: Render) -> None:
    """An absent direction would be open."""
    for policy in scenario.all("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"], policy["metadata"]["name"]


def test_each_pod_of_the_chart_has_a_policy(scenario: Render) -> None:
    """Of its own, that says what it may; and in the release's namespace the one that denies all else."""
    policies = [policy["spec"]["podSelector"]["matchLabels"] for policy in scenario.all("NetworkPolicy")]
    own = [selector for selector in policies if len(selector) > 1]
    for owner, pod in scenario.pods():
        labels = pod["metadata"]["labels"]
        assert any(selector.items() <= labels.items() for selector in own), owner["metadata"]["name"]
        assert labels["app.kubernetes.io/instance"] == "jupyterhub", owner["metadata"]["name"]
    assert SINGLEUSER in own
    assert {"app.kubernetes.io/instance": "jupyterhub"} in policies


def test_users_reach_no_private_address_by_default(default: Render) -> None:
    """And so no node, no API server and no cloud metadata."""
    blocks = [
        peer["ipBlock"]
        for rule in default.get("NetworkPolicy", "jupyterhub-singleuser")["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer and "except" in peer["ipBlock"]
    ]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(blocks[0]["except"])


def test_none_leaves_users_the_hub_and_dns(render: Callable[..., Render]) -> None:
    """Preset `none`."""
    rendered = render({"networkPolicy": {"singleuser": {"egress": "none"}}})
    egress = rendered.get("NetworkPolicy", "jupyterhub-singleuser")["spec"]["egress"]
    assert peers(egress, "to") == {("hub", 8081), ("*", 53)}


def test_strict_leaves_users_the_hub_by_its_address(render: Callable[..., Render]) -> None:
    """Preset `strict`: names are a way out too, so the hub looks its own up and hands it on."""
    rendered = render({"networkPolicy": {"singleuser": {"egress": "strict"}}})
    egress = rendered.get("NetworkPolicy", "jupyterhub-singleuser")["spec"]["egress"]
    assert peers(egress, "to") == {("hub", 8081)}
    settings = json.loads(rendered.get("ConfigMap", "jupyterhub-hub")["data"]["settings.json"])
    assert settings["hubByAddress"] is True


def test_packages_leave_users_the_web_and_no_private_address(render: Callable[..., Render]) -> None:
    """Preset `packages`; or the mirrors that are named, and nothing else."""
    for cidrs, blocks in (([], ["0.0.0.0/0", "::/0"]), (["10.1.2.0/24"], ["10.1.2.0/24"])):
        values = {"networkPolicy": {"singleuser": {"egress": "packages", "packageCidrs": cidrs}}}
        egress = render(values).get("NetworkPolicy", "jupyterhub-singleuser")["spec"]["egress"]
        assert peers(egress, "to") == {("hub", 8081), ("*", 53), ("*", 443), ("*", 80)}
        assert [peer["ipBlock"]["cidr"] for peer in egress[-1]["to"]] == blocks


def test_the_api_server_can_be_named(render: Callable[..., Render]) -> None:
    """Then nothing but these addresses is reachable on its ports."""
    rendered = render({"networkPolicy": {"apiServer": {"cidrs": ["172.30.0.2/32"], "ports": [6443]}}})
    rule = rendered.get("NetworkPolicy", "jupyterhub-storage")["spec"]["egress"]
    assert rule == [{"ports": [{"protocol": "TCP", "port": 6443}], "to": [{"ipBlock": {"cidr": "172.30.0.2/32"}}]}]


def test_policies_can_be_switched_off(render: Callable[..., Render]) -> None:
    """For networks that have their own."""
    assert render({"networkPolicy": {"enabled": False}}).all("NetworkPolicy") == []
