"""What each account of the release may do, asked of the API server: the whole table, so that one more is seen."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest
from kubernetes import client

from kubelab_helpers.release.deploy import NAMESPACE, RELEASE

from .lab import Lab

Right = tuple[str, str, str]
"""Verb, resource as `deployments.apps`, and namespace; empty for the cluster's own objects."""

STORAGE = f"{NAMESPACE}-storage"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
NAMESPACED = (
    *("pods", "pods/exec", "pods/log", "pods/portforward", "pods/ephemeralcontainers", "secrets", "configmaps"),
    *("services", "endpoints", "events", "persistentvolumeclaims", "serviceaccounts", "serviceaccounts/token"),
    *("resourcequotas", "limitranges", "replicationcontrollers", "deployments.apps", "daemonsets.apps"),
    *("statefulsets.apps", "jobs.batch", "cronjobs.batch", "networkpolicies.networking.k8s.io"),
    *("roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io", "leases.coordination.k8s.io"),
    *("poddisruptionbudgets.policy", "ingresses.networking.k8s.io"),
)
CLUSTER = (
    *("nodes", "nodes/proxy", "namespaces", "persistentvolumes", "storageclasses.storage.k8s.io"),
    *("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io"),
    *("validatingadmissionpolicies.admissionregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io"),
)
SPACES = (NAMESPACE, STORAGE, "kube-system", "default")


def rights(verbs: str, resource: str, *namespaces: str) -> set[Right]:
    """Each of these verbs on a resource, in each of these namespaces."""
    return {(verb, resource, namespace) for verb, namespace in product(verbs.split(), namespaces)}


ALLOWED: dict[tuple[str, str], set[Right]] = {
    (NAMESPACE, f"{RELEASE}-hub"): {
        *rights("list watch create delete", "pods", NAMESPACE),
        *rights("get create delete", "persistentvolumeclaims", NAMESPACE),
        *rights("list watch", "events", NAMESPACE),
    },
    (NAMESPACE, f"{RELEASE}-singleuser"): set(),
    # The hook's account is gone when the hook has ended, and its name may do nothing.
    (NAMESPACE, f"{RELEASE}-make-secrets"): set(),
    (NAMESPACE, "default"): set(),
    (STORAGE, f"{RELEASE}-storage-helper"): set(),
    (STORAGE, f"{RELEASE}-storage"): {
        *rights("get create delete", "pods", STORAGE),
        *rights("get", "pods/log", STORAGE),
        *rights("get list watch", "persistentvolumeclaims", *SPACES),
        *rights("create patch", "events", *SPACES),
        *rights("get list watch create patch delete", "persistentvolumes", ""),
        *rights("get list watch", "storageclasses.storage.k8s.io", ""),
        *rights("get", "nodes", ""),
    },
}


def list_questions() -> Iterator[Right]:
    """Every verb on every resource, in each namespace."""
    yield from product(VERBS, NAMESPACED, SPACES)
    yield from product(VERBS, CLUSTER, ("",))


def may(lab: Lab, account: tuple[str, str], right: Right, object_name: str | None = None) -> bool:
    """Ask the API server whether an account has a right."""
    verb, resource, namespace = right
    kind, _, group = resource.partition(".")
    name, _, part = kind.partition("/")
    attributes = client.V1ResourceAttributes(
        verb=verb, group=group, resource=name, subresource=part or None, namespace=namespace or None, name=object_name
    )
    user = f"system:serviceaccount:{account[0]}:{account[1]}"
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}", "system:authenticated"]
    spec = client.V1SubjectAccessReviewSpec(resource_attributes=attributes, user=user, groups=groups)
    reviews: Any = client.AuthorizationV1Api(lab.api)
    review = reviews.create_subject_access_review(client.V1SubjectAccessReview(spec=spec))
    return bool(review.status.allowed)


@pytest.mark.parametrize("account", ALLOWED, ids=[name for _, name in ALLOWED])
def test_each_account_may_do_this_and_nothing_else(lab: Lab, account: tuple[str, str]) -> None:
    questions = list(list_questions())
    assert ALLOWED[account] <= set(questions)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda right: may(lab, account, right), questions))
    assert {right for right, allowed in zip(questions, answers, strict=True) if allowed} == ALLOWED[account]


@pytest.mark.parametrize("account", ALLOWED, ids=[name for _, name in ALLOWED])
def test_no_account_has_a_secret_by_its_name(lab: Lab, account: tuple[str, str]) -> None:
    """A right for one name is not in the answers above. kubelet hands the hub its Secrets; no account reads one."""
    names = {each.metadata.name for each in lab.core.list_namespaced_secret(NAMESPACE).items}
    assert f"{RELEASE}-hub-secret" in names
    found = {
        (verb, name)
        for verb, name in product(("get", "update", "patch", "delete"), sorted(names))
        if may(lab, account, (verb, "secrets", NAMESPACE), name)
    }
    assert found == set()


def test_the_table_can_fail(lab: Lab) -> None:
    """The API server does say yes to somebody who may: to its own controllers."""
    assert may(lab, ("kube-system", "namespace-controller"), ("delete", "pods", NAMESPACE))
