"""The hub's configuration, loaded as JupyterHub loads it, from a render and from Secrets in a folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets.config.loader import PyFileConfigLoader

if TYPE_CHECKING:
    import pytest

    from .conftest import Render

ADMIN_PASSWORD = "the first password"


def write_secrets(folder: Path) -> None:
    """Write the two Secrets as a kubelet mounts them."""
    keys = {
        "secret/cookie-secret": "07" * 32,
        "secret/crypt-key": "08" * 32,
        "secret/proxy-token": "a token",
        "admin/username": "Ada\n",
        "admin/password": ADMIN_PASSWORD,
    }
    for key, value in keys.items():
        (folder / key).parent.mkdir(exist_ok=True)
        (folder / key).write_text(value)


def load_hub_config(rendered: Render, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the configuration that a hub of this render would have, with its files below `folder`."""
    for name, text in rendered.get("ConfigMap", "jupyterhub-hub")["data"].items():
        (folder / name).write_text(text)
    if not (folder / "secret").exists():
        write_secrets(folder)
    if not (folder / "services").exists():
        (folder / "services").mkdir()
        for name in json.loads((folder / "settings.json").read_text())["hub"]["services"]:
            (folder / "services" / name).write_text(f"token of {name}\n")
    # kubelab_hub is on sys.path through conftest.py, as PYTHONPATH has it in the pod.
    import kubelab_hub.settings

    monkeypatch.setattr(kubelab_hub.settings, "SETTINGS_FILE", folder / "settings.json")
    monkeypatch.setattr(kubelab_hub.settings, "SECRET_FOLDER", folder / "secret")
    monkeypatch.setattr(kubelab_hub.settings, "ADMIN_FOLDER", folder / "admin")
    monkeypatch.setattr(kubelab_hub.settings, "TOKEN_FOLDER", folder / "services")
    keep_waits(monkeypatch)
    return PyFileConfigLoader("jupyterhub_config.py", path=str(folder)).load_config()


def keep_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give JupyterHub its own waits back after the test; the configuration shortens them for the process."""
    for name in ("jupyterhub.utils", "kubespawner.spawner"):
        __import__(name)
        module = sys.modules[name]
        monkeypatch.setattr(module, "exponential_backoff", module.exponential_backoff)
