"""`kubelab policy verify`: each pair that must and must not connect, and that the policies are what decides it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes.dynamic import DynamicClient

from kubelab_helpers.release.deploy import NAMESPACE
from kubelab_helpers.release.reach import Origin, Target
from kubelab_helpers.release.stand_ins import CHECK, STRANGERS

from .lab import Lab, read_answer, run_kubelab

MINUTES = 600


def verify(*arguments: str) -> Any:
    """Run the command."""
    return run_kubelab("policy", "verify", *arguments, timeout_seconds=MINUTES)


@contextmanager
def without_policies(lab: Lab) -> Iterator[None]:
    """Take the release's policies out of the cluster, and put them back."""
    listed = lab.networking.list_namespaced_network_policy(NAMESPACE).items
    kept = [lab.api.sanitize_for_serialization(each) for each in listed]
    dynamic: Any = DynamicClient(lab.api)  # type: ignore[no-untyped-call]  # it has no types there
    kind = dynamic.resources.get(api_version="networking.k8s.io/v1", kind="NetworkPolicy")
    try:
        for each in kept:
            lab.networking.delete_namespaced_network_policy(each["metadata"]["name"], NAMESPACE)
        yield
    finally:
        for each in kept:
            for field in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
                each["metadata"].pop(field, None)
            body = {"apiVersion": kind.group_version, "kind": kind.kind, **each}
            # As Helm's own, or its next upgrade would find the fields in another's hands.
            dynamic.server_side_apply(kind, body=body, namespace=NAMESPACE, field_manager="helm", force_conflicts=True)


def test_every_pair_goes_as_it_must_and_proves_it(lab: Lab) -> None:
    """Nothing is left behind; and each denied target answers somebody else, so that its silence is the policy's."""
    answer = read_answer(verify("-o", "json"))
    found = {(each["from"], each["to"]): each for each in answer["connections"]}
    assert answer["ok"]
    assert [each["to"] for each in found.values() if not each["proves"]] == []
    # What is outside of the cluster is only asked when somebody says so.
    assert not {Target.METADATA, Target.INTERNET} & {each["to"] for each in found.values()}
    denied = {pair for pair, each in found.items() if each["allowed"] is False}
    assert {(Origin.SERVER, target) for target in (Target.NEIGHBOUR, Target.API_SERVER, Target.PROXY_API)} <= denied
    assert {(Origin.STRANGER, Target.HUB), (Origin.PROXY, Target.API_SERVER)} <= denied
    assert len(denied) > 15
    pods = [each.metadata.name for each in lab.core.list_namespaced_pod(NAMESPACE).items]
    assert not [name for name in pods if name.startswith(CHECK)]
    assert STRANGERS not in {each.metadata.name for each in lab.core.list_namespace().items}


def test_without_the_policies_every_denied_pair_connects(lab: Lab) -> None:
    """So it is they that close the ways, and not something else; and the command sees it, and says which."""
    with without_policies(lab):
        done = verify("-o", "json")
    assert done.returncode == 1
    found = [each for each in json.loads(done.stdout)["connections"] if each["allowed"] is False]
    assert found
    assert [each for each in found if each["said"] != "open" or each["ok"]] == []


def test_the_matrix_is_for_people() -> None:
    """After the policies are back: a row for each who asks, a column for each who is asked."""
    done = verify()
    assert done.returncode == 0, done.stdout + done.stderr
    for each in Origin:
        assert str(each) in done.stdout
    assert "!" not in done.stdout


def test_a_wrong_address_is_refused_before_anything_is_made() -> None:
    done = verify("--outside", "example.org")
    assert done.returncode == 2
    assert "HOST:PORT" in done.stderr
