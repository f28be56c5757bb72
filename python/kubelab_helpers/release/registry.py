"""What the cluster is told of the lab's registry: where tools find it, and the account with which pods pull."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from kubelab_helpers.cluster.health import api_client
from kubelab_helpers.cluster.registry_secrets import USER, Login
from kubelab_helpers.images.access import OWN_HOST
from kubelab_helpers.release.deploy import PULL_SECRET

# https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry
HOSTING, HOSTING_NAMESPACE, HOSTING_KEY = "local-registry-hosting", "kube-public", "localRegistryHosting.v1"
HELP = "https://distribution.github.io/distribution/about/insecure/"
"""How a client is told to trust a registry of this kind."""
LABELS = {"app.kubernetes.io/managed-by": "kubelab"}
NOT_FOUND = 404


def hosting_document(host: str, *, from_runtime: str, from_pods: str) -> str:
    """Return KEP-1755's description of a local registry, version 1; each is `host:port`.

    `host`: as tools outside the cluster push to it; `from_runtime`: as pods' images name it; `from_pods`: as what runs
    in a pod reaches it.
    """
    described = {
        "host": host,
        "hostFromContainerRuntime": from_runtime,
        "hostFromClusterNetwork": from_pods,
        "help": HELP,
    }
    return yaml.safe_dump(described, sort_keys=False)


def read_hosting(kubeconfig: Path) -> str | None:
    """Return what the cluster says of its registry; None if it says nothing."""
    with api_client(kubeconfig) as api:
        found = _read(_core(api).read_namespaced_config_map, HOSTING, HOSTING_NAMESPACE)
    return found and (found.data or {}).get(HOSTING_KEY)


def put_hosting(kubeconfig: Path, document: str) -> bool:
    """Have the cluster say that of its registry; return whether it did not."""
    data = {HOSTING_KEY: document}
    with api_client(kubeconfig) as api:
        core = _core(api)
        found = _read(core.read_namespaced_config_map, HOSTING, HOSTING_NAMESPACE)
        if found is None:
            core.create_namespaced_config_map(HOSTING_NAMESPACE, _body(HOSTING, data))
        elif (found.data or {}).get(HOSTING_KEY) != document:
            core.patch_namespaced_config_map(HOSTING, HOSTING_NAMESPACE, {"data": data})
        else:
            return False
    return True


def pull_secret_data(login: Login) -> dict[str, str]:
    """Return the data of a Secret of the type kubernetes.io/dockerconfigjson, in base64, for the lab's registry."""
    auth = base64.b64encode(f"{USER}:{login.password}".encode()).decode()
    config = {"auths": {OWN_HOST: {"username": USER, "password": login.password, "auth": auth}}}
    return {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()}


def put_pull_secret(kubeconfig: Path, namespace: str, login: Login | None) -> bool:
    """Have the pull Secret in a namespace, or without a login have none of kubelab's; return whether that was a change.

    A namespace that is not there has none.
    """
    from kubernetes.client.exceptions import ApiException

    with api_client(kubeconfig) as api:
        core = _core(api)
        found = _read(core.read_namespaced_secret, PULL_SECRET, namespace)
        if login is None:
            if found is None or not LABELS.items() <= (found.metadata.labels or {}).items():
                return False
            core.delete_namespaced_secret(PULL_SECRET, namespace)
            return True
        data = pull_secret_data(login)
        if found is not None and found.data == data:
            return False
        if found is not None:
            core.patch_namespaced_secret(PULL_SECRET, namespace, {"data": data})
            return True
        try:
            core.create_namespaced_secret(
                namespace, _body(PULL_SECRET, data) | {"type": "kubernetes.io/dockerconfigjson"}
            )
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return False
    return True


def _core(api: Any) -> Any:
    from kubernetes import client

    return client.CoreV1Api(api)


def _read(read: Any, name: str, namespace: str) -> Any:
    """Return an object; None if it is not there, or its namespace is not."""
    from kubernetes.client.exceptions import ApiException

    try:
        return read(name, namespace, _request_timeout=10)
    except ApiException as error:
        if error.status != NOT_FOUND:
            raise
        return None


def _body(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": LABELS}, "data": data}
