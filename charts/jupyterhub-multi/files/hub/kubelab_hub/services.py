"""The hub's services, the culler among them, and who may do what through its API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubelab_hub.culling import make_culler
from kubelab_hub.settings import read_secret

if TYPE_CHECKING:
    from pathlib import Path

    from kubelab_hub.settings import Settings


def make_service(name: str, service: Mapping[str, Any], tokens: Path) -> dict[str, Any]:
    """Return one entry of `JupyterHub.services`; its token is the file of its name in `tokens`."""
    described = {key: value for key, value in service.items() if key != "existingSecret"}
    if environment := described.get("environment"):
        described["environment"] = {key: str(value) for key, value in environment.items()}
    return {"name": name, **described, "api_token": read_secret(tokens, name)}


def configure_services(c: Any, settings: Settings) -> None:
    """Set services and roles; `c.JupyterHub.services.append` in `hub.extraConfig` adds to them."""
    culler_services, culler_roles = make_culler(settings)
    hub = settings["hub"]
    services = [make_service(name, service, settings.tokens) for name, service in sorted(hub["services"].items())]
    roles = [{"name": name, **role} for name, role in sorted(hub["loadRoles"].items())]
    c.JupyterHub.services = [*culler_services, *services]
    c.JupyterHub.load_roles = [*culler_roles, *roles]
