"""Who may do what at the API server: the exact table, so that a right more is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Render

RULES = {
    ("Role", "jupyterhub-hub"): {
        ("pods", "list watch create delete", ""),
        ("persistentvolumeclaims", "get create delete", ""),
        ("events", "list watch", ""),
    },
    ("Role", "jupyterhub-make-secrets"): {
        ("secrets", "create", ""),
        ("secrets", "get", "jupyterhub-hub-secret jupyterhub-hub-admin"),
    },
    ("Role", "jupyterhub-storage"): {
        ("pods", "get create delete", ""),
        ("pods/log", "get", ""),
    },
    ("ClusterRole", "jupyterhub-jupyterhub-storage"): {
        ("persistentvolumes", "get list watch create patch delete", ""),
        ("persistentvolumeclaims", "get list watch", ""),
        ("nodes", "get", ""),
        ("events", "create patch", ""),
        ("storageclasses", "get list watch", ""),
    },
}

BINDINGS = {
    ("RoleBinding", "jupyterhub-hub"): ("jupyterhub-hub", "jupyterhub"),
    ("RoleBinding", "jupyterhub-make-secrets"): ("jupyterhub-make-secrets", "jupyterhub"),
    ("RoleBinding", "jupyterhub-storage"): ("jupyterhub-storage", "jupyterhub-storage"),
    ("ClusterRoleBinding", "jupyterhub-jupyterhub-storage"): ("jupyterhub-storage", "jupyterhub-storage"),
}


def test_the_rules_are_exactly_these(default: Render) -> None:
    """No wildcard, no verb and no resource beyond what the components call."""
    rules = {
        (each["kind"], each["metadata"]["name"]): {
            (" ".join(rule["resources"]), " ".join(rule["verbs"]), " ".join(rule.get("resourceNames", [])))
            for rule in each["rules"]
        }
        for each in default.all("Role") + default.all("ClusterRole")
    }
    assert rules == RULES


def test_the_bindings_are_exactly_these(default: Render) -> None:
    """Each role has one account; users' pods and storage helpers have none."""
    bindings = {
        (each["kind"], each["metadata"]["name"]): (subject["name"], subject["namespace"])
        for each in default.all("RoleBinding") + default.all("ClusterRoleBinding")
        for subject in each["subjects"]
    }
    assert bindings == BINDINGS


def test_without_the_provisioner_nothing_is_cluster_wide(scenario: Render) -> None:
    """Then the chart can be installed by someone who owns one namespace."""
    if scenario.all("StorageClass"):
        return
    kinds = {each["kind"] for each in scenario.objects}
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "Namespace", "StorageClass", "PriorityClass"}
    assert not kinds & {*cluster_wide, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
