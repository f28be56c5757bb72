"""The admission policy: it is the release's own, speaks for its namespace alone, and has a word for each refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

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
    assert "== 'jupyterhub'" in policy["matchConditions"][0]["expression"]
    assert policy["failurePolicy"] == "Fail"
    assert "pods/ephemeralcontainers" in policy["matchConstraints"]["resourceRules"][0]["resources"]


def test_each_rule_says_what_it_refuses(default: Render) -> None:
    rules = default.get("ValidatingAdmissionPolicy", NAME)["spec"]["validations"]
    messages = [each["message"] for each in rules]
    assert len(set(messages)) == len(messages) == 8


def test_it_can_be_left_out(render: Callable[..., Render]) -> None:
    """It belongs to the cluster, which not everybody may write to."""
    rendered = render({"security": {"admissionPolicy": {"enabled": False}}})
    assert "ValidatingAdmissionPolicy" not in rendered.text
