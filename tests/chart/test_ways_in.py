"""How the hub is reached from outside: Service, Ingress, HTTPRoute."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Manifest, Render


def public_service(rendered: Render) -> Manifest:
    """The spec of the Service that people reach."""
    spec: Manifest = rendered.get("Service", "jupyterhub-proxy-public")["spec"]
    return spec


def test_an_ingress_leads_each_host_to_the_public_service(render: Callable[..., Render]) -> None:
    """Below the hub's base URL, the operator's own paths before it."""
    other = {"path": "/docs", "pathType": "Prefix", "backend": {"service": {"name": "docs", "port": {"number": 80}}}}
    tls = [{"hosts": ["hub.example"], "secretName": "hub-tls"}]
    values = {
        "hub": {"baseUrl": "/jupyter"},
        "ingress": {
            "enabled": True,
            "ingressClassName": "nginx",
            "hosts": ["hub.example", "lab.example"],
            "extraPaths": [other],
            "tls": tls,
        },
    }
    rendered = render(values)
    spec = rendered.get("Ingress", "jupyterhub")["spec"]
    backend = {"service": {"name": "jupyterhub-proxy-public", "port": {"name": "http"}}}
    path = {"path": "/jupyter/", "pathType": "Prefix", "backend": backend}
    assert [(rule["host"], rule["http"]["paths"]) for rule in spec["rules"]] == [
        ("hub.example", [other, path]),
        ("lab.example", [other, path]),
    ]
    assert (spec["ingressClassName"], spec["tls"]) == ("nginx", tls)
    assert "http" in {port["name"] for port in public_service(rendered)["ports"]}


def test_an_ingress_without_hosts_takes_every_name(render: Callable[..., Render]) -> None:
    (rule,) = render({"ingress": {"enabled": True, "pathSuffix": "*"}}).get("Ingress", "jupyterhub")["spec"]["rules"]
    assert "host" not in rule
    assert rule["http"]["paths"][0]["path"] == "/*"


def test_a_route_belongs_to_its_gateway(render: Callable[..., Render]) -> None:
    """To one listener of it, in its namespace; the port is one that the Service has."""
    gateway = {"name": "lab", "namespace": "gateways", "sectionName": "https"}
    rendered = render({"httpRoute": {"enabled": True, "gateway": gateway, "hostnames": ["hub.example"]}})
    spec = rendered.get("HTTPRoute", "jupyterhub")["spec"]
    assert spec["parentRefs"] == [gateway]
    assert spec["hostnames"] == ["hub.example"]
    (rule,) = spec["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert rule["backendRefs"] == [{"name": "jupyterhub-proxy-public", "port": 80}]
    assert 80 in {port["port"] for port in public_service(rendered)["ports"]}


@pytest.mark.parametrize(("kind", "fixed"), [("NodePort", True), ("LoadBalancer", True), ("ClusterIP", False)])
def test_the_port_on_the_nodes_is_for_those_who_have_one(render: Callable[..., Render], kind: str, fixed: bool) -> None:
    extra = {"name": "ssh", "port": 22, "targetPort": 2222}
    spec = public_service(render({"proxy": {"service": {"type": kind, "extraPorts": [extra]}}}))
    http, other = spec["ports"]
    assert ("nodePort" in http) == fixed
    assert other == extra


def test_a_load_balancer_has_its_address_and_its_guests(render: Callable[..., Render]) -> None:
    service = {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.7", "loadBalancerSourceRanges": ["192.0.2.0/24"]}
    spec = public_service(render({"proxy": {"service": service}}))
    assert {key: spec[key] for key in service} == service
