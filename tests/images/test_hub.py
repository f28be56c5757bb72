"""The hub and proxy images: what the chart relies on is in them, and together they serve a complete login page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests

from .containers import as_pod, published_address, require_output, running, wait_until_answer

if TYPE_CHECKING:
    import docker

JUPYTERHUB = "6.1.1"
PROXY = "5.3.0"
PACKAGES = {
    "jupyterhub": JUPYTERHUB,
    "jupyterhub-kubespawner": "7.1.0",
    "jupyterhub-nativeauthenticator": "1.3.0",
    "jupyterhub-idle-culler": "2.0.0",
    "jupyterhub-ldapauthenticator": "2.0.2",
    "oauthenticator": "17.4.0",
}
AUTHENTICATORS = {
    "native": "nativeauthenticator:NativeAuthenticator",
    "ldap": "ldapauthenticator:LDAPAuthenticator",
    "generic-oauth": "oauthenticator.generic:GenericOAuthenticator",
    "github": "oauthenticator.github:GitHubOAuthenticator",
}
IMPORTS = "kubespawner, nativeauthenticator, jupyterhub_idle_culler, kubernetes_asyncio, psycopg, ssl, sqlite3"
# @import "name", @import url(name) and url(name), but no url(data:...).
STYLE_NAMES = re.compile(r"""(?:@import\s*|url\()['"]?((?!data:|url\()[^'")]+)""")
TOKEN = {"CONFIGPROXY_AUTH_TOKEN": "made-up"}
HUB_COMMAND = (
    "jupyterhub",
    "--JupyterHub.authenticator_class=nativeauthenticator.NativeAuthenticator",
    "--JupyterHub.spawner_class=kubespawner.KubeSpawner",
    "--JupyterHub.db_url=sqlite://",
    "--JupyterHub.cookie_secret_file=/tmp/cookie-secret",
    "--JupyterHub.hub_ip=127.0.0.1",
    "--ConfigurableHTTPProxy.should_start=False",
    "--ConfigurableHTTPProxy.api_url=http://127.0.0.1:8001",
)


@contextmanager
def serving(client: docker.DockerClient, proxy_image: str, hub_image: str) -> Iterator[str]:
    """Hold a proxy and a hub that share one network, as empty pods would; give the address of the proxy."""
    proxy_options = {**as_pod("1000:1000", home=None), "environment": TOKEN}
    ports = {"8000/tcp": ("127.0.0.1", None), "8001/tcp": ("127.0.0.1", None)}
    proxy_command = ["configurable-http-proxy", "--ip=0.0.0.0", "--api-ip=0.0.0.0"]
    with running(client, proxy_image, proxy_command, ports=ports, **proxy_options) as proxy:
        api = published_address(proxy, 8001)
        headers = {"Authorization": f"token {TOKEN['CONFIGPROXY_AUTH_TOKEN']}"}
        assert wait_until_answer(proxy, f"{api}/api/routes", headers).json() == {}
        # KubeSpawner asks for the service's address while it is imported by the hub.
        environment = {**TOKEN, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
        options = {
            **as_pod("1000:1000", home=None),
            "environment": environment,
            "network_mode": f"container:{proxy.id}",
        }
        with running(client, hub_image, HUB_COMMAND, **options) as hub:
            address = published_address(proxy, 8000)
            wait_until_answer(hub, f"{address}/hub/health")
            yield address


def test_authenticators_are_found_by_their_short_names(client: docker.DockerClient, hub_image: str) -> None:
    """As `hub.config.JupyterHub.authenticator_class` names them; each is loaded, with all that it imports."""
    question = f"""
import importlib.metadata as m, json
found = {{each.name: each for each in m.entry_points(group="jupyterhub.authenticators")}}
print(json.dumps({{name: found[name].load() and found[name].value for name in {list(AUTHENTICATORS)}}}))
"""
    answer = require_output(client, hub_image, ["python3", "-c", question], **as_pod("1000:1000", home=None))
    assert json.loads(answer) == AUTHENTICATORS


def test_hub_has_the_pinned_versions(client: docker.DockerClient, hub_image: str) -> None:
    """The command on PATH is JupyterHub's, and each package of the chart's contract is the pinned one."""
    question = f"import json, importlib.metadata as m; print(json.dumps({{n: m.version(n) for n in {list(PACKAGES)}}}))"
    options = as_pod("1000:1000", home=None)
    assert require_output(client, hub_image, ["jupyterhub", "--version"], **options) == JUPYTERHUB
    assert json.loads(require_output(client, hub_image, ["python3", "-c", question], **options)) == PACKAGES


def test_hub_imports_what_the_chart_configures(client: docker.DockerClient, hub_image: str) -> None:
    """Spawner, authenticator, culler, Kubernetes client and database drivers load, and there is a POSIX shell."""
    script = (
        f"python3 -c 'import {IMPORTS}' && jupyterhub-idle-culler --help >/dev/null && alembic --version >/dev/null"
    )
    require_output(client, hub_image, ["/bin/sh", "-c", script], **as_pod("1000:1000", home=None))


def test_proxy_has_the_pinned_version(client: docker.DockerClient, proxy_image: str) -> None:
    """The command on PATH is configurable-http-proxy's, and runs with a read-only root."""
    options = as_pod("1000:1000", home=None)
    assert require_output(client, proxy_image, ["configurable-http-proxy", "--version"], **options) == PROXY


def test_hub_behind_proxy_serves_a_complete_login_page(
    client: docker.DockerClient, hub_image: str, proxy_image: str
) -> None:
    """NativeAuthenticator's form comes through the proxy, and every style, font and script that it names is there."""
    with serving(client, proxy_image, hub_image) as address:
        page = requests.get(f"{address}/hub/login", timeout=10)
        assert 'name="password"' in page.text
        assert "/hub/signup" in page.text
        pending = {urljoin(page.url, found) for found in re.findall(r'(?:href|src)="([^"]*/static/[^"]+)"', page.text)}
        assert any(".css" in url for url in pending)
        fetched: set[str] = set()
        while pending:
            url = pending.pop()
            fetched.add(url)
            answer = requests.get(url, timeout=10)
            assert answer.status_code == 200, url
            if ".css" in url:
                pending |= {urljoin(url, named) for named in STYLE_NAMES.findall(answer.text)} - fetched
    assert any(url.partition("?")[0].endswith(".woff2") for url in fetched)
