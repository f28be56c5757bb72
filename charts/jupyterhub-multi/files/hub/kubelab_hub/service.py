"""The hub itself: where it listens, its database, its secrets, and the proxy it drives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubelab_hub.settings import Settings

HUB_PORT = 8081
PAGES = "/etc/kubelab/pages"
DATABASE = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"


def configure_service(c: Any, settings: Settings) -> None:
    """Set what JupyterHub and its proxy need to find each other."""
    hub = settings["hub"]
    c.JupyterHub.base_url = settings["baseUrl"]
    c.JupyterHub.hub_bind_url = f"http://:{HUB_PORT}"
    c.JupyterHub.hub_connect_url = settings["hubUrl"]
    # Ours stand before JupyterHub's own and NativeAuthenticator's of the same name.
    c.JupyterHub.template_paths = [PAGES]
    c.JupyterHub.db_url = DATABASE
    # JupyterHub copies a SQLite file before it upgrades the schema.
    c.JupyterHub.upgrade_db = True
    c.JupyterHub.cookie_secret = settings.secrets.cookie_secret
    c.CryptKeeper.keys = [settings.secrets.crypt_key]
    c.JupyterHub.concurrent_spawn_limit = hub["concurrentSpawnLimit"]
    # 0 shows the progress page at once instead of a page that seems to hang while the server starts.
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
    # User servers live in pods of their own and go on while the hub restarts.
    c.JupyterHub.cleanup_servers = False
    if settings["debug"]:
        c.JupyterHub.log_level = "DEBUG"

    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = settings["proxyApiUrl"]
    c.ConfigurableHTTPProxy.auth_token = settings.secrets.proxy_token
