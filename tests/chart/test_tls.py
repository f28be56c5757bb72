"""HTTPS at the proxy: where it ends, who makes the certificate, and when a new one is made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import certificates
import pytest
import renew_certificate
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

if TYPE_CHECKING:
    from .conftest import Manifest, Render


NOW = datetime(2026, 11, 26, tzinfo=UTC)
ON: dict[str, Any] = {"tls": {"enabled": True}}
HOSTS = ["hub.example.org", "192.0.2.7"]
WANTED = {
    "secret": "tls",
    "authority": "authority",
    "name": "kubelab lab/hub",
    "hosts": HOSTS,
    "days": 365,
    "renewBeforeDays": 30,
    "keyAlgorithm": "ECDSA",
}


class Secrets:
    """Secrets in a dictionary, with the script's two calls."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, bytes]] = {}

    async def read(self, name: str) -> dict[str, bytes] | None:
        """None for one that is not there."""
        return self.held.get(name)

    async def write(self, name: str, data: dict[str, bytes], *, exists: bool) -> None:
        """The API would refuse what the assertion does."""
        assert exists == (name in self.held)
        self.held[name] = dict(data)


def renew(secrets: Secrets, *, now: datetime = NOW, force: bool = False, **changed: Any) -> str:
    """Run the script's work."""
    return str(asyncio.run(renew_certificate.renew(secrets, {**WANTED, **changed}, now, force=force)))


def verify(secrets: Secrets, host: str, now: datetime) -> None:
    """Verify the server's certificate as a browser would that trusts the CA."""
    held = secrets.held["tls"]
    store = Store([x509.load_pem_x509_certificate(held["ca.crt"])])
    subject: Any = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    verifier = PolicyBuilder().store(store).time(now).build_server_verifier(subject)
    verifier.verify(x509.load_pem_x509_certificate(held["tls.crt"]), [])


@pytest.mark.parametrize(("algorithm", "kind"), [("ECDSA", ec.EllipticCurvePrivateKey), ("RSA", rsa.RSAPrivateKey)])
def test_a_browser_that_trusts_the_ca_accepts_it(algorithm: str, kind: type) -> None:
    """For each name and address, until its last day, and for no other name."""
    secrets = Secrets()
    assert "it is not there" in renew(secrets, keyAlgorithm=algorithm)
    for host in HOSTS:
        verify(secrets, host, NOW + timedelta(days=364))
    with pytest.raises(VerificationError):
        verify(secrets, "other.example.org", NOW)
    with pytest.raises(VerificationError):
        verify(secrets, HOSTS[0], NOW + timedelta(days=366))
    key = serialization.load_pem_private_key(secrets.held["tls"]["tls.key"], None)
    assert isinstance(key, kind)
    assert getattr(key, "key_size", 0) == {"ECDSA": 256, "RSA": 4096}[algorithm]


def test_what_is_good_is_left_alone() -> None:
    secrets = Secrets()
    renew(secrets)
    before = dict(secrets.held)
    assert "left alone" in renew(secrets, now=NOW + timedelta(days=334))
    assert secrets.held == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"now": NOW + timedelta(days=336)}, "29 days left"),
        ({"now": NOW + timedelta(days=400)}, "-35 days left"),
        ({"hosts": [*HOSTS, "lab.example.org"]}, "it is not for lab.example.org"),
        ({"keyAlgorithm": "RSA"}, "its key is not RSA"),
        ({"force": True}, "it was asked for"),
    ],
)
def test_a_new_one_comes_of_the_same_ca(changed: dict[str, Any], reason: str) -> None:
    """So that nobody has to trust another one."""
    secrets = Secrets()
    renew(secrets)
    before = secrets.held["tls"]
    assert reason in renew(secrets, **changed)
    assert secrets.held["tls"]["tls.crt"] != before["tls.crt"]
    assert secrets.held["tls"]["ca.crt"] == before["ca.crt"]
    verify(secrets, changed.get("hosts", HOSTS)[-1], changed.get("now", NOW))


def test_a_ca_that_would_end_first_is_made_anew() -> None:
    """And a certificate that cannot be read is no reason to stop."""
    secrets = Secrets()
    renew(secrets)
    old = secrets.held["tls"]["ca.crt"]
    secrets.held["tls"]["tls.crt"] = b"broken"
    late = NOW + timedelta(days=7300 - 200)
    assert "it cannot be read" in renew(secrets, now=late)
    assert secrets.held["tls"]["ca.crt"] != old
    verify(secrets, HOSTS[0], late)


def test_no_key_is_ever_shown() -> None:
    pair = certificates.make_authority("a", "ECDSA", NOW)
    assert "PRIVATE" not in repr(pair)


def ports(rendered: Render) -> dict[str, tuple[Any, Any]]:
    """Port and target of the public Service, by name."""
    spec = rendered.get("Service", "jupyterhub-proxy-public")["spec"]
    return {each["name"]: (each["targetPort"], each.get("nodePort")) for each in spec["ports"]}


def proxy_pod(rendered: Render) -> Manifest:
    """The spec of the proxy's pod."""
    spec: Manifest = rendered.get("Deployment", "jupyterhub-proxy")["spec"]["template"]["spec"]
    return spec


def test_https_ends_in_the_proxys_pod_and_http_leads_there(render: Callable[..., Render]) -> None:
    """From outside nobody reaches configurable-http-proxy without it any more."""
    rendered = render(ON)
    assert ports(rendered) == {"http": ("redirect", 30080), "https": ("https", 30443)}
    policy = rendered.get("NetworkPolicy", "jupyterhub-proxy")["spec"]["ingress"]
    assert {each["port"] for rule in policy if "from" not in rule for each in rule["ports"]} == {"https", "redirect"}
    chp, nginx = proxy_pod(rendered)["containers"]
    assert (chp["name"], nginx["name"]) == ("chp", "tls")
    named = {each["name"]: each["containerPort"] for each in nginx["ports"]}
    assert named == {"https": 8443, "redirect": 8080}
    text = rendered.get("ConfigMap", "jupyterhub-tls")["data"]["nginx.conf"]
    assert "https://$host:30443$request_uri" in text
    for port in named.values():
        assert f"listen {port}" in text


def test_the_key_is_mounted_as_a_folder_that_the_group_reads(render: Callable[..., Render]) -> None:
    """A file mounted by subPath would never change."""
    pod = proxy_pod(render(ON))
    assert pod["securityContext"]["fsGroup"] == 1000
    (mount,) = (each for each in pod["containers"][1]["volumeMounts"] if each["name"] == "tls")
    assert mount == {"name": "tls", "mountPath": "/etc/kubelab/tls", "readOnly": True}
    (volume,) = (each for each in pod["volumes"] if each["name"] == "tls")
    assert volume["secret"] == {"secretName": "jupyterhub-tls", "defaultMode": 0o440}


@pytest.mark.parametrize(("kind", "port"), [("LoadBalancer", ""), ("ClusterIP", ""), ("NodePort", ":30443")])
def test_the_redirect_names_a_port_only_where_people_must(render: Callable[..., Render], kind: str, port: str) -> None:
    text = render({**ON, "proxy": {"service": {"type": kind}}}).get("ConfigMap", "jupyterhub-tls")["data"]["nginx.conf"]
    assert f"return 308 https://$host{port}$request_uri;" in text
    assert "REDIRECT_PORT" not in text


def test_the_releases_own_certificate_is_made_once_and_looked_at_daily(render: Callable[..., Render]) -> None:
    """By a hook that may create, and a CronJob that may replace those two Secrets and read no other."""
    rendered = render(ON)
    names = ["jupyterhub-tls", "jupyterhub-tls-authority"]
    role = rendered.get("Role", "jupyterhub-tls-renewal")["rules"]
    assert role == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "patch"], "resourceNames": names}]
    hook = rendered.get("Role", "jupyterhub-make-secrets")["rules"]
    assert [(rule["verbs"], set(rule.get("resourceNames", ())) & set(names)) for rule in hook] == [
        (["create"], set()),
        (["get"], set(names)),
        (["patch"], set(names)),
    ]
    job = rendered.get("Job", "jupyterhub-make-secrets")["spec"]["template"]["spec"]
    assert [each["name"] for each in job["containers"]] == ["make-certificate", "make-secrets"]
    cron = rendered.get("CronJob", "jupyterhub-tls-renewal")["spec"]
    (container,) = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    files = rendered.get("ConfigMap", "jupyterhub-tls-renewal")["data"]
    assert {argument.rsplit("/")[-1] for argument in container["command"] if "/" in argument} <= set(files)
    wanted = json.loads(files["wanted.json"])
    assert wanted["hosts"] == [
        *("localhost", "127.0.0.1", "jupyterhub-proxy-public", "jupyterhub-proxy-public.jupyterhub.svc"),
    ]
    assert {"certificates.py", "renew_certificate.py"} <= set(
        rendered.get("ConfigMap", "jupyterhub-make-secrets")["data"]
    )


def test_with_all_secrets_given_the_hook_makes_the_certificate_alone(render: Callable[..., Render]) -> None:
    given = {"existingSecret": "given"}
    rendered = render({**ON, "hub": {**given, "admin": given}})
    job = rendered.get("Job", "jupyterhub-make-secrets")["spec"]["template"]["spec"]
    assert [each["name"] for each in job["containers"]] == ["make-certificate"]


@pytest.mark.parametrize(
    "values",
    [
        {"enabled": True, "type": "secret", "secretName": "given"},
        {"enabled": True, "type": "certManager", "issuerRef": {"name": "lab"}},
    ],
)
def test_a_certificate_of_others_is_only_mounted(render: Callable[..., Render], values: dict[str, Any]) -> None:
    rendered = render({"tls": values})
    names = {each["metadata"]["name"] for each in rendered.objects}
    assert not names & {"jupyterhub-tls-renewal", "jupyterhub-tls-authority"}
    (volume,) = (each for each in proxy_pod(rendered)["volumes"] if each["name"] == "tls")
    assert volume["secret"]["secretName"] == values.get("secretName", "jupyterhub-tls")


def test_cert_manager_is_asked_for_names_and_addresses(render: Callable[..., Render]) -> None:
    issuer = {"name": "lab", "kind": "ClusterIssuer"}
    values = {"enabled": True, "type": "certManager", "hosts": [*HOSTS, "2001:db8::1"], "issuerRef": issuer}
    spec = render({"tls": values}).get("Certificate", "jupyterhub-tls")["spec"]
    assert (spec["dnsNames"], spec["ipAddresses"]) == (["hub.example.org"], ["192.0.2.7", "2001:db8::1"])
    assert (spec["duration"], spec["renewBefore"]) == ("8760h", "720h")
    assert spec["issuerRef"] == {**issuer, "group": "cert-manager.io"}
    assert spec["secretName"] == "jupyterhub-tls"  # its name


def test_tls_that_ends_elsewhere_leaves_http_here(render: Callable[..., Render]) -> None:
    """Port 443 of the Service is there for whoever ends it before."""
    rendered = render({"tls": {"enabled": True, "type": "offload"}})
    assert ports(rendered) == {"http": ("http", 30080), "https": ("http", 30443)}
    assert [each["name"] for each in proxy_pod(rendered)["containers"]] == ["chp"]
