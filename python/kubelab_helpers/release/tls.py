"""The hub's certificate: what the cluster holds, what is served, and having it made anew."""

from __future__ import annotations

import base64
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubelab_helpers.cluster.health import api_client, wait_until_none
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.release.deploy import COMPONENT, NAMESPACE, RELEASE
from kubelab_helpers.result import Outcome, Reporter

RENEWAL = f"{RELEASE}-tls-renewal"
JOB_SECONDS = 300
"""More than the Job's own deadline."""
SERVED_SECONDS = 240.0
"""kubelet brings a changed Secret to its pods within a minute or two: its syncFrequency and the age of its cache."""


@dataclass(frozen=True)
class Certificate:
    """A server's certificate."""

    hosts: tuple[str, ...]
    issuer: str
    serial: str
    days_left: int
    """Negative when it is over."""

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"hosts": list(self.hosts), "issuer": self.issuer, "serial": self.serial, "days_left": self.days_left}


@dataclass(frozen=True)
class Held:
    """What the release's Secret holds: the certificate, and the CA of the release's own, if it is one."""

    secret: str
    certificate: Certificate
    authority: bytes


def read_certificate(pem: bytes, now: datetime) -> Certificate:
    """Read a certificate; ValueError when it is none."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(pem)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        hosts: tuple[str, ...] = ()
    else:
        hosts = tuple(str(each.value) for each in names)
    left = (found.not_valid_after_utc - now).days
    return Certificate(hosts, found.issuer.rfc4514_string(), f"{found.serial_number:x}", left)


def read_held(kubeconfig: Path) -> Held | None:
    """Return what the Secret that the proxy mounts holds, or None when the release does not end TLS.

    BlockedError when the Secret is not there, KubelabError when it holds no certificate.
    """
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    with api_client(kubeconfig) as api:
        selector = f"app.kubernetes.io/instance={RELEASE},{COMPONENT}=proxy"
        found: list[Any] = client.AppsV1Api(api).list_namespaced_deployment(NAMESPACE, label_selector=selector).items
        volumes = [volume for each in found for volume in each.spec.template.spec.volumes if volume.name == "tls"]
        if not volumes:
            return None
        name = volumes[0].secret.secret_name
        try:
            secret: Any = client.CoreV1Api(api).read_namespaced_secret(name, NAMESPACE)
        except ApiException as error:
            if error.status != 404:
                raise
            raise BlockedError(
                f"the Secret {name}, which the proxy waits for, is not there",
                next_step=f"make it: kubectl --namespace {NAMESPACE} create secret tls {name} --cert=FILE --key=FILE",
            ) from error
    data: Mapping[str, str] = secret.data or {}
    pem = base64.b64decode(data.get("tls.crt", ""))
    try:
        certificate = read_certificate(pem, datetime.now(UTC))
    except ValueError as error:
        raise KubelabError(f"the Secret {name} holds no certificate that can be read") from error
    return Held(name, certificate, base64.b64decode(data.get("ca.crt", "")))


def read_served(address: str) -> Certificate:
    """Return the certificate that is served at an `https` address, whoever signed it; KubelabError if none is."""
    parts = urlsplit(address)
    try:
        pem = ssl.get_server_certificate((parts.hostname or "", parts.port or 443), timeout=10)
    except OSError as error:
        raise KubelabError(f"{address} does not answer: {error}", next_step="`kubelab status` says more") from error
    return read_certificate(pem.encode(), datetime.now(UTC))


def rotate(kubeconfig: Path, address: str, reporter: Reporter) -> Certificate:
    """Have the release's own certificate made anew in the cluster, and wait until it is served; return it.

    Whoever is connected stays so. BlockedError when the certificate is not the release's own.
    """
    reporter.start("certificate")
    _run_renewal(kubeconfig)
    held = read_held(kubeconfig)
    if held is None:
        raise KubelabError("the release does not end TLS any more")
    reporter.finish("certificate", Outcome.CHANGED, f"serial {held.certificate.serial}")
    reporter.start("served")

    def missing() -> str:
        try:
            served = read_served(address)
        except KubelabError as error:  # for a moment; it is asked again
            return error.what
        return "" if served.serial == held.certificate.serial else f"still serial {served.serial}"

    wait_until_none(missing, SERVED_SECONDS, "the new certificate")
    reporter.finish("served", Outcome.CHANGED, address)
    return held.certificate


def _run_renewal(kubeconfig: Path) -> None:
    """Run the CronJob's Job once, now, whatever the certificate's days."""
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    name = f"{RENEWAL}-{secrets.token_hex(3)}"
    with api_client(kubeconfig) as api:
        batch: Any = client.BatchV1Api(api)
        try:
            cron = batch.read_namespaced_cron_job(RENEWAL, NAMESPACE)
        except ApiException as error:
            if error.status != 404:
                raise
            raise BlockedError(
                "the certificate is not the release's own",
                next_step="who signs it makes it anew; the hub serves what the Secret holds within two minutes",
            ) from error
        spec = api.sanitize_for_serialization(cron.spec.job_template.spec)
        spec["template"]["spec"]["containers"][0]["command"].append("--force")
        # Gone by itself, also when nobody waits for it any more.
        spec["ttlSecondsAfterFinished"] = JOB_SECONDS
        batch.create_namespaced_job(NAMESPACE, {"metadata": {"name": name}, "spec": spec})

        def missing() -> str:
            status = batch.read_namespaced_job(name, NAMESPACE).status
            # A pod of it that failed is tried again.
            if any(each.type == "Failed" and each.status == "True" for each in status.conditions or ()):
                raise KubelabError(
                    f"the job {name} failed", next_step=f"kubectl --namespace {NAMESPACE} logs job/{name}"
                )
            return "" if status.succeeded else "it has not ended"

        wait_until_none(missing, JOB_SECONDS, f"the job {name}")
        batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")
