"""The chart in the cluster: which values it gets, whether it must be upgraded, and whether it is healthy."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster.health import api_client, is_pod_ready, wait_until_none
from kubelab_helpers.cluster.placement import Placement, read_placement
from kubelab_helpers.images.catalog import ImageCatalog
from kubelab_helpers.release.helm import Revision

PROVISIONER_NAME, PROVISIONER_REPOSITORY = "provisioner", "local-path-provisioner"
RELEASE = "jupyterhub"
NAMESPACE = "jupyterhub"
STORAGE_NAMESPACE = f"{NAMESPACE}-storage"
PULL_SECRET = "kubelab-registry"  # noqa: S105 — its name
ADMIN_SECRET = f"{RELEASE}-hub-admin"
HEALTH_TIMEOUT_SECONDS = 300.0
COMPONENT = "app.kubernetes.io/component"
IMAGE_PULLER = "image-puller"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


@dataclass(frozen=True)
class HubHealth:
    """The hub's answer to its health page, and its pods that are not ready, with the reason."""

    answers: bool
    unready: tuple[str, ...]


def joined_family(family: str) -> str:
    """Return the name of the image that joins those of a family of notebooks."""
    return f"{family}-multi"


def chart_values(
    catalog: ImageCatalog,
    pythons: Sequence[str],
    digests: Mapping[str, str],
    api_addresses: Sequence[str],
    *,
    family: str = "notebook",
) -> dict[str, Any]:
    """Return what kubelab knows and the chart asks: images by digest, the Pythons, the API servers' addresses.

    `family`: the images per Python that users start, `notebook` or a variant of it.
    """
    api = {"networkPolicy": {"apiServer": {"cidrs": [f"{each}/32" for each in api_addresses]}}}
    return image_values(catalog, pythons, digests, family=family) | api


def image_values(
    catalog: ImageCatalog,
    pythons: Sequence[str],
    digests: Mapping[str, str],
    prefix: str = IMAGE_PREFIX,
    *,
    family: str = "notebook",
) -> dict[str, Any]:
    """Return the values of images that were pushed: by digest, and where they are if that is not the lab's registry.

    `prefix`: what stands before an image's own name, such as `registry.example/team`. KeyError for a digest that lacks.
    """
    elsewhere = prefix != IMAGE_PREFIX
    folder = "" if elsewhere else f"{IMAGE_PREFIX.partition('/')[2]}/"

    def image(name: str, repository: str) -> dict[str, Any]:
        return {**({"repository": repository} if elsewhere else {}), "digest": digests[name]}

    # The chart knows the usual family by itself.
    own = {} if family == "notebook" else {"repository": f"{folder}{family}"}
    notebooks = [
        {
            "version": version,
            "endOfLife": catalog.pythons[version].end_of_life.isoformat(),
            "image": {**own, "digest": digests[f"{family}-py{version}"]},
            **({"default": True} if position == 0 else {}),
        }
        for position, version in enumerate(sorted(pythons, key=_minor, reverse=True))
    ]
    multi = joined_family(family)
    if multi in digests:
        joined = catalog.images[multi]
        told = {"repository": f"{folder}{joined.repository}", "tag": joined.tag, "digest": digests[multi]}
        known = ", ".join(sorted(pythons, key=_minor))
        notebooks.append(
            {"version": "multi", "displayName": "All Pythons", "description": f"Kernels of {known}.", "image": told}
        )
    images: dict[str, Any] = {"registry": prefix, "notebook": {"repository": "notebook"}} if elsewhere else {}
    images |= {name: image(name, name) for name in ("hub", "proxy")}
    images[PROVISIONER_NAME] = image(PROVISIONER_NAME, PROVISIONER_REPOSITORY)
    return {"images": images, "pythons": notebooks}


def input_stamp(chart: Path, values: Mapping[str, Any]) -> str:
    """Return a hash of the chart's files and the values: another one means that the release must be upgraded."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in sorted(each for each in chart.rglob("*") if each.is_file()):
        digest.update(str(file.relative_to(chart)).encode() + b"\0" + file.read_bytes())
    return f"kubelab {digest.hexdigest()[:24]}"


def is_current(revision: Revision, stamp: str) -> bool:
    """Return whether a revision was made from these inputs and is in force."""
    return revision.description == stamp and revision.status == "deployed"


def find_placements(objects: Iterable[Mapping[str, Any]]) -> list[Placement]:
    """Return which images go where by the release's pullers among `objects`: rendered, or from the API."""
    return [
        read_placement(each)
        for each in objects
        if each["kind"] == "DaemonSet" and each["metadata"]["labels"].get(COMPONENT) == IMAGE_PULLER
    ]


def with_pull_secret(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the lab's own pull Secret before those that they name themselves."""
    named = [each for each in values.get("imagePullSecrets", ()) if each != {"name": PULL_SECRET}]
    return {**values, "imagePullSecrets": [{"name": PULL_SECRET}, *named]}


def ensure_namespace(kubeconfig: Path) -> None:
    """Make the release's namespace, held to the restricted Pod Security Standard."""
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    body: Any = {"metadata": {"name": NAMESPACE, "labels": RESTRICTED}}
    with api_client(kubeconfig) as api:
        core = client.CoreV1Api(api)
        try:
            core.create_namespace(body)
        except ApiException as error:
            if error.status != 409:
                raise
            core.patch_namespace(NAMESPACE, body)


def read_admin(kubeconfig: Path) -> tuple[str, str]:
    """Return the admin's name and generated password from the cluster's Secret."""
    from kubernetes import client

    with api_client(kubeconfig) as api:
        data: Any = client.CoreV1Api(api).read_namespaced_secret(ADMIN_SECRET, NAMESPACE).data
    return (base64.b64decode(data["username"]).decode(), base64.b64decode(data["password"]).decode())


def read_health(kubeconfig: Path, address: str, authority: Path | None = None) -> HubHealth:
    """Ask the hub's health page through the proxy, and the cluster why pods are not ready.

    `authority`: a file with the CA that signs the hub's certificate, where it is the release's own.
    A pod that still pulls images of users' servers is not asked about: the hub serves without it.
    """
    import warnings

    import requests
    from kubernetes import client
    from urllib3.exceptions import InsecureRequestWarning

    try:
        # The hub of a lab is on this machine's loopback address or on a host of its own: no proxy has a say there.
        http = requests.Session()
        http.trust_env = False
        # Whether it answers is asked; a certificate of others may be for other names, or of a CA that is unknown here.
        http.verify = str(authority) if authority and authority.exists() else False
        warnings.simplefilter("ignore", InsecureRequestWarning)
        answers = http.get(f"{address}/hub/health", timeout=5).ok
    except requests.RequestException:
        answers = False
    selector = f"app.kubernetes.io/instance={RELEASE},{COMPONENT}!={IMAGE_PULLER}"
    with api_client(kubeconfig) as api:
        core = client.CoreV1Api(api)
        pods: list[Any] = [
            pod
            for namespace in (NAMESPACE, STORAGE_NAMESPACE)
            for pod in core.list_namespaced_pod(namespace, label_selector=selector, _request_timeout=10).items
        ]
    unready = tuple(
        _describe(pod) for pod in pods if not is_pod_ready(pod) and pod.status.phase not in {"Succeeded", "Failed"}
    )
    return HubHealth(answers, unready if pods else ("the release has no pods",))


def wait_until_healthy(kubeconfig: Path, address: str, authority: Path | None = None) -> None:
    """Wait until every pod of the release is ready and the hub answers through the proxy."""

    def missing() -> str:
        health = read_health(kubeconfig, address, authority)
        return "; ".join(health.unready) or ("" if health.answers else f"{address}/hub/health does not answer")

    wait_until_none(missing, HEALTH_TIMEOUT_SECONDS, "the hub")


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _describe(pod: Any) -> str:
    """Return why a pod is not ready, in the words of its scheduler, its containers or its phase."""
    reasons = [
        f"{each.state.waiting.reason}: {each.state.waiting.message or ''}".rstrip(": ")
        for each in pod.status.container_statuses or ()
        if each.state and each.state.waiting
    ]
    reasons += [each.message for each in pod.status.conditions or () if each.status == "False" and each.message]
    return f"pod {pod.metadata.name}: {reasons[0] if reasons else pod.status.phase}"
