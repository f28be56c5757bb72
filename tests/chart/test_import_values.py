"""zero-to-jupyterhub's values, brought over: every key of theirs changes what is rendered, or is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kubelab_helpers.cli.kubelab import app
from kubelab_helpers.document import merge
from kubelab_helpers.release.conversion import Conversion, Fate, convert_values
from kubelab_helpers.release.counterparts import ABSENT, RENAMED
from kubelab_helpers.release.schema import read_schema

from .conftest import CHART, Render

SAMPLE = Path(__file__).parent / "z2jh-values.yaml"
THEIRS: dict[str, Any] = yaml.safe_load(SAMPLE.read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
WHOLE = {
    *("hub.config", "hub.services", "hub.loadRoles", "hub.extraFiles", "singleuser.extraFiles"),
    *(
        "proxy.https",
        "singleuser.image",
        "hub.extraConfig",
        "hub.templateVars",
        "hub.extraEnv",
        "prePuller.extraImages",
        "imagePullSecret",
    ),
}
"""Maps whose keys are the operator's own."""

BESIDE: dict[str, dict[str, Any]] = {
    "ingress": {"ingress": {"enabled": True}},
    "httpRoute.enabled": {"httpRoute": {"gateway": {"name": "other"}}},
    "httpRoute": {"httpRoute": {"enabled": True, "gateway": {"name": "other"}}},
    "scheduling.podPriority": {"scheduling": {"podPriority": {"enabled": True}}},
    "proxy.service.nodePorts.https": {"tls": {"enabled": True}},
    "proxy.service.loadBalancer": {"proxy": {"service": {"type": "LoadBalancer"}}},
    "prePuller.pullProfileListImages": {
        "singleuser": {
            "profileList": [{"display_name": "other", "kubespawner_override": {"image": "registry.example/o:1"}}]
        }
    },
}
"""What must be said beside a key for it to have something to change."""


def walk(node: Mapping[str, Any], keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every leaf of the sample, and the way to it."""
    for key, value in node.items():
        here = (*keys, key)
        if isinstance(value, dict) and value and ".".join(here) not in WHOLE:
            yield from walk(value, here)
        else:
            yield here, value


# SQLite is the default of both, so that saying it changes nothing.
LEAVES = [(keys, value) for keys, value in walk(THEIRS) if keys != ("hub", "db", "type")]


def convert(values: Mapping[str, Any]) -> Conversion:
    """The conversion by the chart's own schema and defaults."""
    return convert_values(values, read_schema(CHART), DEFAULTS)


def told(made: Conversion, *fates: Fate) -> set[str]:
    """The keys of the notes of these fates."""
    return {each.key for each in made.notes if each.fate in fates}


@pytest.mark.parametrize(("keys", "value"), LEAVES, ids=[".".join(keys) for keys, _ in LEAVES])
def test_each_key_changes_the_render_or_is_told(
    render: Callable[..., Render], keys: tuple[str, ...], value: Any
) -> None:
    """A key that is neither would be lost in silence."""
    values = value
    for key in reversed(keys):
        values = {key: values}
    made = convert(values)
    name = ".".join(keys)
    if made.values:
        before = render(find_beside(name))
        assert render(merge(find_beside(name), made.values)).objects != before.objects
    else:
        absent = told(made, Fate.ABSENT)
        assert any(f"{name}.".startswith(f"{key}.") for key in absent) or "networkPolicy.enabled" in absent


def find_beside(name: str) -> dict[str, Any]:
    """What must be said beside a key."""
    switch = name.endswith(".enabled")
    return next((each for key, each in BESIDE.items() if name == key or (name.startswith(key) and not switch)), {})


def test_the_whole_of_it_renders(render: Callable[..., Render]) -> None:
    """Together too, without a secret in it; nothing is unknown, so the table behind it is whole."""
    made = convert(THEIRS)
    assert told(made, Fate.UNKNOWN) == set()
    assert render(made.values).objects
    assert "in-the-clear" in SAMPLE.read_text()
    assert "in-the-clear" not in json.dumps([made.values, [each.as_data() for each in made.notes]])


def test_each_entry_of_the_table_is_a_key_of_theirs() -> None:
    """And what is renamed has a name here."""
    names = {".".join(keys) for keys, _ in LEAVES}
    assert {
        name for name in (*RENAMED, *ABSENT) if not any(f"{each}.".startswith(f"{name}.") for each in names)
    } == set()
    made = convert(THEIRS)
    for here in RENAMED.values():
        node: Any = made.values
        for key in here.split("."):
            node = node[key]


def test_what_has_another_shape_is_brought_into_ours() -> None:
    """Lists of variables, roles and services with names of their own, names of Secrets, one image."""
    made = convert(THEIRS)
    hub = made.values["hub"]
    assert hub["extraEnv"] == {"ONE": "1", "TWO": {"valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}}
    assert hub["services"] == {"grades": {"url": "http://grader"}}
    assert hub["loadRoles"] == {"grades": {"scopes": ["list:users"]}}
    assert made.values["imagePullSecrets"] == [{"name": "login"}, {"name": "other-login"}, {"name": "users"}]
    first, second = made.values["singleuser"]["profileList"]
    assert first["kubespawner_override"] == {"image": "registry.example/user:1"}
    assert second == {"display_name": "other"}


def test_a_key_that_nobody_knows_is_told_with_the_nearest_one() -> None:
    made = convert({"singleuser": {"starttimeout": 3}})
    (note,) = (each for each in made.notes if each.fate is Fate.UNKNOWN)
    assert (note.key, "did you mean startTimeout?" in note.text) == ("singleuser.starttimeout", True)


def test_a_value_that_the_chart_refuses_is_left_out_and_told() -> None:
    """One of several is no reason to lose the others."""
    made = convert({"singleuser": {"uid": 0, "fsGid": 300}, "hub": {"tolerations": [{"key": "a"}, {"nokey": "b"}]}})
    assert made.values == {"singleuser": {"fsGid": 300}, "hub": {}}
    assert {"singleuser.uid", "hub.tolerations[1].nokey"} <= told(made, Fate.ABSENT)


def test_two_that_are_refused_take_nothing_else_along() -> None:
    """Of one list, and beside values that are right."""
    profiles = [{"display_name": 1, "bad": 1}, {"bad": 2}]
    theirs = {"singleuser": {"memory": {"limit": "3G"}, "profileList": profiles}, "hub": {"extraVolumes": ["a", "b"]}}
    assert convert(theirs).values["singleuser"] == {"memory": {"limit": "3G"}}


@pytest.mark.parametrize(
    "theirs",
    [
        {"hub": {"services": {"a": None}, "loadRoles": {"b": None}}},
        {"hub": {"config": {"JupyterHub": "text"}}},
        {"singleuser": {"image": "registry.example/user:1"}},
        {"imagePullSecrets": 3},
    ],
)
def test_what_has_another_shape_than_theirs_is_no_reason_to_stop(theirs: dict[str, Any]) -> None:
    convert(theirs)


def test_secrets_are_found_by_their_names_at_any_depth() -> None:
    theirs = {
        "hub": {
            "extraEnv": {"CLIENT_SECRET": "hunter2", "COLOUR": "blue"},
            "config": {"JupyterHub": {"service_tokens": {"a": "hunter2"}, "services": [{"api_token": "hunter2"}]}},
        },
        "singleuser": {"extraEnv": {"API_TOKEN": "hunter2"}},
    }
    made = convert(theirs)
    assert "hunter2" not in json.dumps([made.values, [each.as_data() for each in made.notes]])
    assert made.values["hub"]["extraEnv"] == {"COLOUR": "blue"}
    assert {"hub.extraEnv.CLIENT_SECRET", "hub.config.JupyterHub.services"} <= told(made, Fate.ABSENT)


def test_defaults_that_differ_are_told_unless_they_are_said() -> None:
    assert "proxy.service.type" in told(convert({}), Fate.DEFAULT)
    assert "proxy.service.type" not in told(convert({"proxy": {"service": {"type": "ClusterIP"}}}), Fate.DEFAULT)


@pytest.mark.parametrize(
    ("https", "tls"),
    [
        ({"type": "secret", "secret": {"name": "hub-tls"}}, {"type": "secret", "secretName": "hub-tls"}),
        ({"type": "offload"}, {"type": "offload"}),
        ({"hosts": ["hub.example"]}, {"hosts": ["hub.example"]}),
    ],
)
def test_https_stays_https(render: Callable[..., Render], https: dict[str, Any], tls: dict[str, Any]) -> None:
    """By the same certificate, where it is one that can be had here."""
    made = convert({"proxy": {"https": {"enabled": True, **https}}})
    assert made.values == {"tls": {"enabled": True, **tls}}
    assert render(made.values).objects
    assert ("proxy.https.type" in told(made, Fate.CHANGED)) == ("type" not in https)


def test_a_secret_of_an_authenticator_is_told_where_it_belongs() -> None:
    made = convert({"hub": {"config": {"GitHubOAuthenticator": {"client_secret": "hunter2", "client_id": "lab"}}}})
    assert made.values["hub"]["config"] == {"GitHubOAuthenticator": {"client_id": "lab"}}
    (note,) = (each for each in made.notes if each.fate is Fate.ABSENT)
    assert "hub.extraEnv" in note.text
    assert "hunter2" not in note.text


def test_the_command_writes_what_helm_takes(tmp_path: Path, render: Callable[..., Render]) -> None:
    """To a file that is not there yet, or to stdout with the report beside it."""
    file = tmp_path / "values.yaml"
    arguments = ["chart", "import-values", str(SAMPLE)]
    runner = CliRunner()
    done = runner.invoke(app, [*arguments, "--to", str(file)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "proxy.secretToken" in done.stdout
    assert render(yaml.safe_load(file.read_text())).objects
    shown = runner.invoke(app, arguments, catch_exceptions=False)
    assert yaml.safe_load(shown.stdout) == yaml.safe_load(file.read_text())
    assert "proxy.secretToken" in shown.stderr
    answer = json.loads(runner.invoke(app, [*arguments, "-o", "json"], catch_exceptions=False).stdout)
    assert {"key", "fate", "text"} == set(answer["notes"][0])
    refused = runner.invoke(app, [*arguments, "--to", str(file)])
    assert refused.exit_code != 0
    assert "there already" in str(refused.exception)
    assert runner.invoke(app, [*arguments, "--to", str(file), "--force"]).exit_code == 0
