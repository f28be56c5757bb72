"""The hub of a lab: the chart with this lab's values."""

from __future__ import annotations

from typing import Any

from kubelab_helpers import resources
from kubelab_helpers.cluster.health import ApiError, read_nodes, write_private
from kubelab_helpers.cluster.nodes import list_nodes
from kubelab_helpers.document import merge, read_document
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.images.registry import registry_state
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.encryption import describe_tls, keep_authority
from kubelab_helpers.lab.images import digests_of, notebook_family, pythons_of
from kubelab_helpers.release import deploy, reach_trial
from kubelab_helpers.release.helm import Helm
from kubelab_helpers.release.reach import Address, Verdict
from kubelab_helpers.release.registry import put_pull_secret
from kubelab_helpers.release.values import CHART, validate_values
from kubelab_helpers.result import Outcome


def values_of(lab: Lab) -> dict[str, Any]:
    """Return the release's values: kubelab's own, with those of kubelab.yaml over them."""
    catalog = load_catalog()
    api_addresses = [lab.spec.address_of(host.name) for host in lab.spec.control_planes]
    family = notebook_family(lab)
    own = deploy.chart_values(catalog, pythons_of(lab), digests_of(lab), api_addresses, family=family)
    values = merge(own, lab.spec.values)
    values["tls"] = describe_tls(lab)
    if lab.spec.registry.authentication:
        values = deploy.with_pull_secret(values)
    validate_values(values)
    return values


def install_chart(lab: Lab) -> tuple[Outcome, str]:
    """Install or upgrade the release when the chart or its values are others than those in the cluster.

    Its pull Secrets are there first; the storage's namespace is the chart's own, and nodes need no Secret themselves.
    """
    if not lab.spec.has_containers:
        _require_reach(lab)
    values = values_of(lab)
    chart = resources.path(CHART)
    stamp = deploy.input_stamp(chart, values)
    helm = helm_of(lab)
    login = lab.registry_secrets.login
    current = helm.current(deploy.RELEASE, deploy.NAMESPACE)
    if current and deploy.is_current(current, stamp):
        outcome, detail = Outcome.UNCHANGED, f"revision {current.number}"
    else:
        deploy.ensure_namespace(lab.kubeconfig)
        put_pull_secret(lab.kubeconfig, deploy.NAMESPACE, login)
        number = helm.upgrade(deploy.RELEASE, deploy.NAMESPACE, chart, values, stamp)
        outcome, detail = Outcome.CHANGED, f"revision {number}"
    for namespace in (deploy.NAMESPACE, deploy.STORAGE_NAMESPACE):
        if put_pull_secret(lab.kubeconfig, namespace, login):
            outcome = Outcome.CHANGED
    _keep_password(lab)
    keep_authority(lab)
    return outcome, detail


def verify_policies(lab: Lab, outside: Address | None, *, metadata: bool = False) -> list[Verdict]:
    """Try the release's network policies by real connections; BlockedError where the values have switched them off."""
    defaults = read_document(resources.path(CHART) / "values.yaml").values
    policy = merge(defaults, values_of(lab))["networkPolicy"]
    if not policy["enabled"]:
        raise BlockedError(
            "networkPolicy.enabled is false: there is nothing to verify",
            next_step="switch it on in the chart's values of kubelab.yaml, and run `kubelab up`",
        )
    return reach_trial.verify_policies(
        lab.kubeconfig, policy, lab.reporter, outside=outside, metadata=metadata, tls=lab.ends_tls
    )


def wait_until_healthy(lab: Lab) -> tuple[Outcome, str]:
    """Wait until the hub answers on this machine."""
    deploy.wait_until_healthy(lab.kubeconfig, lab.hub_address, lab.authority_file)
    return Outcome.UNCHANGED, lab.hub_address


def read_status(lab: Lab) -> dict[str, Any]:
    """Return nodes, versions, hub health and address, as `kubelab status -o json` prints them."""
    members = read_nodes(lab.kubeconfig)
    containers = list_nodes(lab.engine, lab.spec.name) if lab.spec.has_containers else {}
    registry = registry_state(lab.engine) if lab.spec.has_containers else None
    current = helm_of(lab).current(deploy.RELEASE, deploy.NAMESPACE)
    hub = deploy.read_health(lab.kubeconfig, lab.hub_address, lab.authority_file)
    return {
        "cluster": lab.spec.name,
        "kubernetes": lab.spec.kubernetes_version,
        "nodes": [
            {
                "name": node.name,
                "ready": node.ready,
                "version": node.version,
                "address": node.address,
                "container": found.status if (found := containers.get(lab.container_name(node.name))) else None,
            }
            for node in members
        ],
        "registry": registry.status if registry else None,
        "release": {"revision": current.number, "status": current.status, "chart": current.chart} if current else None,
        "hub": {
            "address": lab.hub_address,
            "healthy": hub.answers and not hub.unready,
            "problems": list(hub.unready),
            "admin": deploy.read_admin(lab.kubeconfig)[0] if current else None,
            "password_file": str(lab.password_file),
        },
    }


def _require_reach(lab: Lab) -> None:
    """Raise BlockedError where this machine reaches a host elsewhere by SSH alone: Helm talks to the API itself."""
    try:
        read_nodes(lab.kubeconfig)
    except ApiError as error:
        raise BlockedError(
            f"the hub is installed through the API, and from here: {error.what}",
            next_step="let this machine reach that port, or run the same command on a host of the cluster",
        ) from error


def helm_of(lab: Lab) -> Helm:
    """Return the Helm of the artifact cache on this lab's cluster."""
    return Helm(lab.store.fetch(["helm"], lab.reporter)["helm"], lab.kubeconfig)


def _keep_password(lab: Lab) -> None:
    _, password = deploy.read_admin(lab.kubeconfig)
    if not lab.password_file.exists() or lab.password_file.read_text().strip() != password:
        write_private(lab.password_file, password + "\n")
