"""Refusals, each with its remedy; and each declared value changes a render."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from kubelab_helpers.document import merge
from kubelab_helpers.release.schema import read_schema, resolve, walk_leaves

from .conftest import CHART, Render

Template = Callable[..., subprocess.CompletedProcess[str]]

REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    (
        "storage in the release's namespace",
        {"storage": {"provisioner": {"namespace": "jupyterhub"}}},
        "Name another, or set it to null",
    ),
    ("one Python twice", {"pythons": [{"version": "3.11"}, {"version": "3.11"}]}, "give each version one entry"),
    (
        "two defaults",
        {"pythons": [{"version": "3.11", "default": True}, {"version": "3.13", "default": True}]},
        "set default: true on one entry",
    ),
    (
        "an admin's name beside a Secret",
        {"hub": {"admin": {"username": "ada", "existingSecret": "given"}}},
        "drop hub.admin.username",
    ),
    ("a section that is no class", {"hub": {"config": {"jupyterHub": {}}}}, "such as hub.config.JupyterHub"),
    ("a cookie secret", {"hub": {"config": {"JupyterHub": {"cookie_secret": "x"}}}}, "name that in hub.existingSecret"),
    ("a crypto key", {"hub": {"config": {"CryptKeeper": {"keys": ["x"]}}}}, "name that in hub.existingSecret"),
    (
        "a proxy token",
        {"hub": {"config": {"ConfigurableHTTPProxy": {"auth_token": "x"}}}},
        "name that in hub.existingSecret",
    ),
    ("a database by trait", {"hub": {"config": {"JupyterHub": {"db_url": "x"}}}}, "use database"),
    ("a base URL by trait", {"hub": {"config": {"JupyterHub": {"base_url": "/x"}}}}, "use hub.baseUrl"),
    ("services by trait", {"hub": {"config": {"JupyterHub": {"services": []}}}}, "use hub.services"),
    ("profiles by trait", {"hub": {"config": {"KubeSpawner": {"profile_list": []}}}}, "singleuser.profileList"),
    ("more CPU guaranteed than allowed", {"singleuser": {"cpu": {"guarantee": 3}}}, "lower the guarantee"),
    (
        "more memory guaranteed than allowed",
        {"singleuser": {"memory": {"guarantee": "2049M", "limit": "2G"}}},
        "lower the guarantee",
    ),
    (
        "ReadWriteMany from a folder on one node",
        {"singleuser": {"storage": {"dynamic": {"storageAccessModes": ["ReadWriteMany"]}}}},
        "use ReadWriteOnce, or name a class",
    ),
    ("several Pythons of no image", {"pythons": [{"version": "multi"}]}, "name one in its image.repository"),
    (
        "a secret that would be readable",
        {"hub": {"config": {"GitHubOAuthenticator": {"client_secret": "x"}}}},
        "OAuthenticator reads OAUTH_CLIENT_SECRET",
    ),
    ("roles by trait", {"hub": {"config": {"JupyterHub": {"load_roles": []}}}}, "use hub.loadRoles"),
    ("pages by trait", {"hub": {"config": {"JupyterHub": {"template_paths": []}}}}, "use hub.templatePaths"),
    ("volumes by trait", {"hub": {"config": {"KubeSpawner": {"volumes": []}}}}, "storage.extraVolumes"),
    ("mounts by trait", {"hub": {"config": {"KubeSpawner": {"volume_mounts": []}}}}, "storage.extraVolumeMounts"),
    (
        "everybody let in, asked for once",
        {"hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}}},
        "use native, or say hub.allowDummyAuthenticator",
    ),
    (
        "everybody let in, from everywhere",
        {
            "hub": {
                "config": {"JupyterHub": {"authenticator_class": "jupyterhub.auth.DummyAuthenticator"}},
                "allowDummyAuthenticator": True,
            },
            "ingress": {"enabled": True},
        },
        "or use another authenticator",
    ),
    ("a service under the culler's name", {"hub": {"services": {"jupyterhub-idle-culler": {}}}}, "another"),
    (
        "a load balancer's settings without one",
        {"proxy": {"service": {"loadBalancerSourceRanges": ["192.0.2.0/24"]}}},
        "set proxy.service.type to LoadBalancer",
    ),
    (
        "mirrors beside another preset",
        {"networkPolicy": {"singleuser": {"packageCidrs": ["192.0.2.0/24"]}}},
        "set networkPolicy.singleuser.egress to packages",
    ),
    (
        "an Ingress before TLS that ends behind it",
        {"tls": {"enabled": True}, "ingress": {"enabled": True}},
        "set tls.type to offload",
    ),
    (
        "somebody's Secret for a certificate of our own",
        {"tls": {"enabled": True, "secretName": "theirs"}},
        "set tls.type to secret",
    ),
    ("a certificate of nobody", {"tls": {"enabled": True, "type": "secret"}}, "kubectl create secret tls"),
    (
        "an issuer without a name",
        {"tls": {"enabled": True, "type": "certManager"}},
        "name one in tls.issuerRef.name",
    ),
    ("a certificate that is old at once", {"tls": {"days": 20}}, "would be made anew at once"),
    ("a route to no Gateway", {"httpRoute": {"enabled": True}}, "set httpRoute.gateway.name"),
    (
        "a file with two contents",
        {"hub": {"extraFiles": {"a": {"mountPath": "/a/b", "stringData": "x", "binaryData": "eA=="}}}},
        "give it one of stringData",
    ),
    (
        "data in no language",
        {"singleuser": {"extraFiles": {"a": {"mountPath": "/a/b", "data": {"x": 1}}}}},
        "end it in .yaml, .json or .toml",
    ),
    (
        "a folder of the node",
        {"singleuser": {"storage": {"extraVolumes": [{"name": "all", "hostPath": {"path": "/"}}]}}},
        "use a claim on a local volume",
    ),
    (
        "one claim for all, and no name of it",
        {"singleuser": {"storage": {"type": "static"}}},
        "name one in singleuser.storage.static.pvcName",
    ),
    ("looking more seldom than culling", {"cull": {"every": 7200}}, "set cull.every to a sixth"),
]


@pytest.mark.parametrize(("values", "remedy"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_a_contradiction_is_refused_with_its_remedy(template: Template, values: Any, remedy: str) -> None:
    """By plain Helm, before anything is applied."""
    done = template(values)
    assert done.returncode != 0
    assert "The values are refused" in done.stderr
    assert remedy in done.stderr


@pytest.mark.parametrize("release", ["1st", "a.b", "a" * 41])
def test_a_release_name_that_is_no_service_name_is_refused(template: Template, release: str) -> None:
    """Services are named after it."""
    done = template(release=release)
    assert done.returncode != 0
    assert "use 1 to 40 of a-z" in done.stderr


def test_all_refusals_are_told_at_once(template: Template) -> None:
    """Nobody mends one to meet the next."""
    done = template({"cull": {"every": 7200}, "singleuser": {"cpu": {"guarantee": 3}}})
    assert "cull.every" in done.stderr
    assert "singleuser.cpu.guarantee" in done.stderr


def test_every_refusal_of_the_template_is_tested() -> None:
    """A refusal more in validate.yaml is a case more above."""
    source = "".join(path.read_text() for path in (CHART / "templates" / "validate").glob("_*.tpl"))
    owned_traits = re.findall(r'^  "[A-Z]\w+\.\w+" "', source, flags=re.MULTILINE)
    # One is for all owned traits together; the release's name has a test of its own.
    refusals = source.count("$errors = append $errors") - 2 + len(owned_traits)
    assert len(REFUSALS) == refusals


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hubb": {}}, "hubb"),
        ({"hub": {"extraConfg": {}}}, "extraConfg"),
        ({"hub": {"resources": None}}, "resources"),
        ({"singleuser": {"uid": 0}}, "uid"),
        ({"images": {"hub": {"digest": "latest"}}}, "digest"),
        ({"pythons": []}, "pythons"),
        ({"pythons": [{"version": 3.11}]}, "version"),
        ({"networkPolicy": {"singleuser": {"egress": "some"}}}, "egress"),
        ({"storage": {"provisioner": {"nodePath": "/etc"}}}, "nodePath"),
        ({"prePuller": {"continuous": {"maxUnavailable": 0}}}, "maxUnavailable"),
        ({"prePuller": {"continuous": {"maxUnavailable": "25"}}}, "maxUnavailable"),
        ({"prePuller": {"extraImages": {"other": {"name": "registry.example/other"}}}}, "tag"),
    ],
)
def test_what_the_schema_does_not_know_is_refused_by_helm(template: Template, values: Any, message: str) -> None:
    """Names the place."""
    done = template(values)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "hub.services",
        "hub.templateVars",
        "hub.extraVolumeMounts",
        "singleuser.initContainers",
        "singleuser.extraResource",
        "singleuser.storage.type",
        "singleuser.storage.tmp",
        "scheduling.corePods",
        "tls.hosts",
    ],
)
def test_what_has_a_default_cannot_be_taken_away(template: Template, name: str) -> None:
    """Helm drops what is null, and the hub would find it missing, at its start."""
    values: Any = None
    for key in reversed(name.split(".")):
        values = {key: values}
    done = template(values)
    assert done.returncode != 0
    assert name.rsplit(".", maxsplit=1)[-1] in done.stderr
    assert "schema" in done.stderr


@pytest.mark.parametrize("name", ["cpu.limit", "cpu.guarantee", "memory.limit", "storage.tmp.sizeLimit"])
def test_a_limit_can_be_taken_away(render: Callable[..., Render], name: str) -> None:
    values: Any = None
    for key in reversed(name.split(".")):
        values = {key: values}
    assert render({"singleuser": values}).objects


def test_the_schema_is_closed(scenario: Render) -> None:
    """Every object in it says additionalProperties, and no value beyond the named open ones is open."""
    assert scenario.objects
    source = yaml.safe_load((CHART / "values.schema.yaml").read_text())
    unsaid = list(find_unsaid(source, ()))
    assert {".".join(keys) for keys in unsaid} == {
        "properties.global",
        "properties.singleuser.properties.profileList.items",
        "properties.hub.properties.config.additionalProperties",
    }


def find_unsaid(node: Any, keys: tuple[str, ...]) -> Any:
    """The ways to objects that do not say what else they may hold."""
    if isinstance(node, Mapping):
        if node.get("type") == "object" and "additionalProperties" not in node:
            yield keys
        for key, child in node.items():
            yield from find_unsaid(child, (*keys, str(key)))


SCHEMA = read_schema(CHART)
# Two that change no render: Helm's own room, and a word that a refusal waits for.
LEAVES = [
    keys for keys, _ in walk_leaves(SCHEMA, SCHEMA) if ".".join(keys) not in {"global", "hub.allowDummyAuthenticator"}
]
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())

SPECIAL: dict[str, Any] = {
    "custom": {"other": "other"},
    "hub.namedServerLimitPerUser": 3,
    "hub.activeServerLimit": 3,
    "hub.authenticatePrometheus": False,
    "hub.redirectToServer": False,
    "hub.shutdownOnLogout": True,
    "hub.services": {"other": {"url": "http://other"}},
    "hub.loadRoles": {"other": {"scopes": ["list:users"]}},
    "hub.templatePaths": ["/other"],
    "hub.extraFiles": {"other": {"mountPath": "/other/file", "stringData": "other"}},
    "singleuser.extraFiles": {"other": {"mountPath": "/other/file.toml", "data": {"other": 1}}},
    "proxy.service.loadBalancerIP": "192.0.2.1",
    "proxy.service.loadBalancerSourceRanges": ["192.0.2.0/24"],
    "proxy.chp.extraCommandLineFlags": ["--other"],
    "ingress.hosts": ["other.example"],
    "tls.hosts": ["other.example"],
    "tls.redirectPort": 8443,
    "tls.type": "offload",
    "httpRoute.hostnames": ["other.example"],
    "singleuser.cmd": ["other"],
    "singleuser.storage.type": "none",
    "singleuser.storage.static.pvcName": "other",
    "singleuser.storage.tmp.sizeLimit": "7Gi",
    "singleuser.extraResource.limits": {"example.org/gpu": 1},
    "singleuser.extraResource.guarantees": {"example.org/gpu": 1},
    "imagePullSecrets": [{"name": "other"}],
    "images.registry": "registry.example",
    "pythons": [{"version": "3.12"}],
    "hub.admin.username": "ada",
    "hub.config": {"JupyterHub": {"allow_named_servers": True}},
    "singleuser.profileList": [{"display_name": "other"}],
    "singleuser.cpu.guarantee": 0.2,
    "singleuser.memory.guarantee": "512M",
    "singleuser.memory.limit": "3G",
    "singleuser.storage.capacity": "7Gi",
    "singleuser.storage.dynamic.storageAccessModes": ["ReadWriteOncePod"],
    "database.pvc.storage": "7Gi",
    "prePuller.extraImages": {"other": {"name": "registry.example/other", "tag": "1"}},
    "networkPolicy.apiServer.cidrs": ["192.0.2.1/32"],
    "networkPolicy.apiServer.ports": [7443],
    "networkPolicy.singleuser.packageCidrs": ["192.0.2.0/24"],
    "storage.provisioner.nodePath": "/srv/volumes",
    # One choice only, until PostgreSQL comes.
    "database.type": None,
}

GATEWAY = {"httpRoute": {"enabled": True, "gateway": {"name": "lab"}}}
BALANCED = {"proxy": {"service": {"type": "LoadBalancer"}}}
ENCRYPTED = {"tls": {"enabled": True}}
PRIORITY = {"scheduling": {"podPriority": {"enabled": True}}}
BESIDE: dict[str, Any] = {
    "httpRoute.enabled": {"httpRoute": {"gateway": {"name": "lab"}}},
    **{f"httpRoute.{key}": GATEWAY for key in ("annotations", "hostnames")},
    **{f"httpRoute.gateway.{key}": GATEWAY for key in ("name", "namespace", "sectionName")},
    **{
        f"ingress.{key}": {"ingress": {"enabled": True}}
        for key in ("ingressClassName", "annotations", "hosts", "pathSuffix", "pathType", "tls", "extraPaths")
    },
    "networkPolicy.singleuser.packageCidrs": {"networkPolicy": {"singleuser": {"egress": "packages"}}},
    **{f"tls.{key}": ENCRYPTED for key in ("type", "hosts", "days", "renewBeforeDays", "keyAlgorithm")},
    "tls.secretName": {"tls": {"enabled": True, "type": "secret", "secretName": "given"}},
    **{f"tls.{key}": ENCRYPTED for key in ("schedule", "resources", "redirectPort")},
    "proxy.service.nodePorts.https": ENCRYPTED,
    **{
        f"tls.issuerRef.{key}": {"tls": {"enabled": True, "type": "certManager", "issuerRef": {"name": "lab"}}}
        for key in ("name", "kind", "group")
    },
    **{f"proxy.service.{key}": BALANCED for key in ("loadBalancerIP", "loadBalancerSourceRanges")},
    **{
        f"scheduling.podPriority.{key}": PRIORITY for key in ("globalDefault", "defaultPriority", "imagePullerPriority")
    },
    "prePuller.pullProfileListImages": {
        "singleuser": {
            "profileList": [{"display_name": "other", "kubespawner_override": {"image": "registry.example/other:1"}}]
        }
    },
}
"""What must be said beside a value for it to have something to change."""


def change(keys: tuple[str, ...], node: Mapping[str, Any]) -> Any:
    """Another valid value for one key."""
    name = ".".join(keys)
    if name in SPECIAL:
        return SPECIAL[name]
    before: Any = DEFAULTS
    for key in keys:
        before = before[key]
    if "enum" in node:
        return next(choice for choice in node["enum"] if choice != before)
    if node.get("required") == ["requests", "limits"]:
        return {"limits": {"memory": "777Mi"}}
    if isinstance(before, bool):
        return not before
    if isinstance(before, int | float):
        return before + 1
    if isinstance(before, dict):
        return {"other": "other"}
    if isinstance(before, list):
        return [{"key": "other"}] if "oleration" in name else [{"ports": [{"port": 1}]}]
    if keys[-1] == "digest":
        return "sha256:" + "1" * 64
    return f"{before or ''}other"


@pytest.mark.parametrize("keys", LEAVES, ids=[".".join(keys) for keys in LEAVES])
def test_each_declared_value_changes_the_render(
    render: Callable[..., Render], default: Render, keys: tuple[str, ...]
) -> None:
    """A value that is in the schema and does nothing is a promise not kept."""
    node: Mapping[str, Any] = SCHEMA
    for key in keys:
        child = resolve(node, SCHEMA)["properties"][key]
        node = {**resolve(child, SCHEMA), **child}
    value = change(keys, node)
    if value is None:
        assert DEFAULTS["database"]["type"] == "sqlite"
        return
    values = copy.deepcopy(value)
    for key in reversed(keys):
        values = {key: values}
    beside = BESIDE.get(".".join(keys))
    before = render(beside) if beside else default
    assert render(merge(beside or {}, values)).objects != before.objects


def test_each_default_is_declared_and_each_declaration_has_a_default() -> None:
    """values.yaml and the schema name the same keys."""
    declared = {".".join(keys) for keys, _ in walk_leaves(SCHEMA, SCHEMA)}
    absent = {name for name in declared if not has_default(name.split("."))}
    # An image's digest and tag of the catalogue come from `pythons`.
    assert absent == set()


def has_default(keys: list[str]) -> bool:
    """Whether values.yaml says this key, null included."""
    node: Any = DEFAULTS
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return True
