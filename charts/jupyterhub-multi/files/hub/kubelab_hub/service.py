"""The hub itself: where it listens, its database, its secrets, and the proxy it drives."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kubelab_hub.settings import stop

if TYPE_CHECKING:
    from kubelab_hub.settings import Settings

HUB_PORT = 8081
NAMES_SECONDS = 60
PAGES = "/etc/kubelab/pages"
DATABASE = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"


def configure_service(c: Any, settings: Settings) -> None:
    """Set what JupyterHub and its proxy need to find each other."""
    hub = settings["hub"]
    c.JupyterHub.base_url = settings["baseUrl"]
    c.JupyterHub.hub_bind_url = f"http://:{HUB_PORT}"
    c.JupyterHub.hub_connect_url = by_address(settings["hubUrl"]) if settings["hubByAddress"] else settings["hubUrl"]
    # Ours stand before JupyterHub's own and NativeAuthenticator's of the same name.
    c.JupyterHub.template_paths = [*hub["templatePaths"], PAGES]
    c.JupyterHub.template_vars = hub["templateVars"]
    c.JupyterHub.db_url = DATABASE
    # JupyterHub copies a SQLite file before it upgrades the schema.
    c.JupyterHub.upgrade_db = True
    c.JupyterHub.cookie_secret = settings.secrets.cookie_secret
    c.CryptKeeper.keys = [settings.secrets.crypt_key]
    configure_limits(c, hub)
    # 0 shows the progress page at once instead of a page that seems to hang while the server starts.
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
    # User servers live in pods of their own and go on while the hub restarts.
    c.JupyterHub.cleanup_servers = False
    if settings["debug"]:
        c.JupyterHub.log_level = "DEBUG"

    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = settings["proxyApiUrl"]
    c.ConfigurableHTTPProxy.auth_token = settings.secrets.proxy_token


def by_address(url: str) -> str:
    """Return the URL with its Service's address, which stays as long as the Service: servers may ask for no names."""
    parts = urlsplit(url)
    address = look_up(parts.hostname or "")
    host = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=f"{host}:{parts.port}").geturl()


def look_up(name: str) -> str:
    """Return a name's address; a network may let a new pod ask only seconds after its start."""
    deadline = time.monotonic() + NAMES_SECONDS
    while True:
        try:
            return str(socket.getaddrinfo(name, None)[0][4][0])
        except socket.gaierror as error:
            if time.monotonic() > deadline:
                stop(f"the name {name} has no address ({error}); look at the cluster's DNS and restart the hub")
            time.sleep(1)


LIMITS = {
    "allowNamedServers": "allow_named_servers",
    "namedServerLimitPerUser": "named_server_limit_per_user",
    "activeServerLimit": "active_server_limit",
    "authenticatePrometheus": "authenticate_prometheus",
    "concurrentSpawnLimit": "concurrent_spawn_limit",
    "redirectToServer": "redirect_to_server",
    "shutdownOnLogout": "shutdown_on_logout",
}
"""JupyterHub's traits that are values of their own, by the value's name."""


def configure_limits(c: Any, hub: Mapping[str, Any]) -> None:
    """Set those that the values name; the others keep JupyterHub's default."""
    for value, trait in LIMITS.items():
        if value in hub:
            c.JupyterHub[trait] = hub[value]
