"""How a user's server is made: one pod and one claim, from the Python that the user picked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from kubespawner import KubeSpawner

from kubelab_hub.home import configure_home
from kubelab_hub.pod import configure_pod

if TYPE_CHECKING:
    from kubelab_hub.settings import Settings


def describe_python(python: Mapping[str, Any], today: date) -> str:
    """Return the line below a Python's name on the spawn page."""
    lines = [python["description"]] if python.get("description") else []
    if end := python.get("endOfLife"):
        day = date.fromisoformat(end)
        written = f"{day.day} {day:%B %Y}"
        over = f"No security fixes since {written}: for old packages only."
        lines.append(over if day < today else f"Security fixes until {written}.")
    return " ".join(lines)


def make_profile(python: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Return KubeSpawner's profile for one entry of `pythons`; its slug is `python-3-11` for 3.11."""
    version = python["version"]
    return {
        "slug": f"python-{version.replace('.', '-')}",
        "display_name": python.get("displayName") or f"Python {version}",
        "description": describe_python(python, today),
        "default": bool(python.get("default", False)),
        "kubespawner_override": {"image": python["image"]},
    }


# The images' JupyterLab reads these settings before its own: https://docs.jupyter.org/en/latest/use/jupyter-directories.html
COLLABORATION = {"JUPYTER_CONFIG_PATH": "/opt/server/share/kubelab/collaboration"}


def leave_options_to_kubespawner(_spawner: KubeSpawner, _options: Mapping[str, Any]) -> None:
    """Do nothing: KubeSpawner 7.1.0 reads the profile itself, and without a hook JupyterHub 6 warns at each spawn."""


def configure_spawning(c: Any, settings: Settings) -> None:
    """Set KubeSpawner's traits from the values."""
    pythons = settings["pythons"]
    today = datetime.now(UTC).date()
    first = next((python for python in pythons if python.get("default")), pythons[0])
    c.JupyterHub.spawner_class = KubeSpawner
    profiles = [make_profile(python, today) for python in pythons]
    c.KubeSpawner.profile_list = profiles + settings["singleuser"]["profileList"]
    c.KubeSpawner.apply_user_options = leave_options_to_kubespawner
    c.KubeSpawner.image = first["image"]
    c.KubeSpawner.image_pull_policy = settings["imagePullPolicy"]
    c.KubeSpawner.image_pull_secrets = settings["imagePullSecrets"]
    c.KubeSpawner.namespace = settings["namespace"]
    configure_process(c, settings["singleuser"])
    configure_pod(c, settings)
    configure_home(c, settings)
    configure_timing(c, settings)


def configure_process(c: Any, singleuser: Mapping[str, Any]) -> None:
    """Set what runs in the pod and what it may use; Helm drops a limit that is null."""
    command = singleuser["cmd"]
    c.Spawner.cmd = [command] if isinstance(command, str) else command
    c.Spawner.default_url = singleuser["defaultUrl"]
    environment = COLLABORATION if singleuser["collaboration"]["enabled"] else {}
    # A `valueFrom` stays as it is: KubeSpawner hands it on.
    own = {name: value if isinstance(value, dict) else str(value) for name, value in singleuser["extraEnv"].items()}
    c.Spawner.environment = {**environment, **own}
    c.Spawner.cpu_guarantee = singleuser["cpu"].get("guarantee")
    c.Spawner.cpu_limit = singleuser["cpu"].get("limit")
    c.Spawner.mem_guarantee = singleuser["memory"].get("guarantee")
    c.Spawner.mem_limit = singleuser["memory"].get("limit")
    c.KubeSpawner.extra_resource_limits = singleuser["extraResource"].get("limits", {})
    c.KubeSpawner.extra_resource_guarantees = singleuser["extraResource"].get("guarantees", {})
    c.KubeSpawner.lifecycle_hooks = singleuser["lifecycleHooks"]


def configure_timing(c: Any, settings: Settings) -> None:
    """Set deadlines; the polling between them is in waiting.py."""
    c.Spawner.start_timeout = settings["singleuser"]["startTimeout"]
    c.Spawner.http_timeout = 60
    c.Spawner.consecutive_failure_limit = settings["hub"]["consecutiveFailureLimit"]
    # A create that is given up after 3 s, the default, and repeated finds its own pod and deletes it.
    c.KubeSpawner.k8s_api_request_timeout = 10
    c.KubeSpawner.k8s_api_request_retry_timeout = 60
    # There are no claims from before KubeSpawner 7 to look for.
    c.KubeSpawner.handle_legacy_names = False
