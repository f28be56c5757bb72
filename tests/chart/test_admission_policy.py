"""The admission policy: it is the release's own, speaks for its namespace alone, and has a word for each refusal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from .conftest import CHART

if TYPE_CHECKING:
    from .conftest import Render

NAME = "jupyterhub-jupyterhub-pods"


def test_the_binding_is_for_the_releases_namespace(default: Render) -> None:
    """Another namespace's pods are never looked at, whatever their labels are."""
    policy = default.get("ValidatingAdmissionPolicy", NAME)["spec"]
    binding = default.get("ValidatingAdmissionPolicyBinding", NAME)["spec"]
    assert binding["policyName"] == NAME
    assert binding["validationActions"] == ["Deny"]
    assert binding["matchResources"]["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "jupyterhub"}
    }
    condition = policy["matchConditions"][0]["expression"]
    assert "== 'jupyterhub'" in condition
    assert "system:serviceaccount:jupyterhub:jupyterhub-hub" in condition
    assert policy["failurePolicy"] == "Fail"
    assert "pods/ephemeralcontainers" in policy["matchConstraints"]["resourceRules"][0]["resources"]


def test_each_rule_says_what_it_refuses(default: Render) -> None:
    rules = default.get("ValidatingAdmissionPolicy", NAME)["spec"]["validations"]
    messages = [each["message"] for each in rules]
    assert len(set(messages)) == len(messages) == 10


def test_an_older_kubernetes_goes_without(helm: str) -> None:
    """It has no such policies before 1.30, and Kubernetes 1.28 is one that old hosts can carry."""
    command = [helm, "template", "hub", str(CHART), "--kube-version", "1.28.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "ValidatingAdmissionPolicy" not in done.stdout


def test_it_can_be_left_out(render: Callable[..., Render]) -> None:
    """It belongs to the cluster, which not everybody may write to."""
    rendered = render({"security": {"admissionPolicy": {"enabled": False}}})
    assert "ValidatingAdmissionPolicy" not in rendered.text
