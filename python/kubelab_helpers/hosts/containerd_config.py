"""containerd's configuration merged by its schema version: what a node needs is set, what others wrote stays.

Other runtimes (a GPU's), metrics, another root directory and the like are somebody's decision. What the kubelet needs
wins over what was there: cgroups by systemd, the pinned sandbox image, registries in `certs.d`, and the CRI at all.
https://github.com/containerd/containerd/blob/main/docs/cri/config.md
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from kubelab_helpers.errors import BlockedError

PATH = "/etc/containerd/config.toml"
OWN = "# Written by kubelab."
"""What a file begins with that nobody else has a part in."""
MERGED = "# kubelab's settings are merged into what was here. A copy of that is kept, and a rollback puts it back.\n"
IMAGES, RUNTIME = "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"
CRI = "io.containerd.grpc.v1.cri"
"""The one plugin of schema version 2 that became the two of version 3."""
READ_VERSIONS = (2, 3, 4)
"""Of containerd 2.2; 3 and 4 name the CRI's plugins alike."""
NEEDED = ("cri", CRI, IMAGES, RUNTIME)
"""Plugins that containerd's own packages of some distributions leave out."""


def merge_config(found: str | None, own: str) -> str:
    """Return what /etc/containerd/config.toml is to hold: `own`, or what was `found` with the settings of `own`.

    `own` is of schema version 3; the result has the version that was found, which containerd 2 reads too. BlockedError
    for a file that containerd 2 could not read.
    """
    if found is None or found.startswith(OWN):
        return own
    settings = _parse(found)
    if settings.get("version") not in READ_VERSIONS:
        settings = _raise_version(settings)
    plugins = tomllib.loads(own)["plugins"]
    if settings["version"] == 2:
        plugins = {CRI: _as_version_2(plugins)}
    _enable(settings)
    _drop_mirrors(settings)
    _overlay(settings, {"plugins": plugins})

    import tomlkit

    return MERGED + tomlkit.dumps(settings)


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BlockedError(f"{PATH} is not valid TOML: {error}", next_step="mend it, or move it away") from error


def _raise_version(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a file of schema version 1 as one of version 3: so much of it as means the same there."""
    version = settings.get("version", 1)
    if version != 1 or settings.get("plugins"):
        raise BlockedError(
            f"{PATH} has schema version {version}, which containerd 2 does not read",
            next_step="`containerd config migrate` of the containerd that it is for writes it anew; or move it away",
        )
    kept = {key: value for key, value in settings.items() if key not in {"version", "disabled_plugins"}}
    return {"version": 3, **kept}


def _as_version_2(plugins: Mapping[str, Any]) -> dict[str, Any]:
    images, runtime = plugins[IMAGES], plugins[RUNTIME]
    rest = {key: value for key, value in runtime.items() if key != "containerd"}
    discard = {"discard_unpacked_layers": images["discard_unpacked_layers"]}
    return {
        "sandbox_image": images["pinned_images"]["sandbox"],
        "registry": images["registry"],
        **rest,
        "containerd": {**runtime["containerd"], **discard},
    }


def _enable(settings: dict[str, Any]) -> None:
    if "disabled_plugins" in settings:
        settings["disabled_plugins"] = [each for each in settings["disabled_plugins"] if each not in NEEDED]


def _drop_mirrors(settings: dict[str, Any]) -> None:
    """Remove what may not stand beside `config_path`: containerd's CRI would not start."""
    for plugin in (CRI, IMAGES):
        registry = settings.get("plugins", {}).get(plugin, {}).get("registry", {})
        registry.pop("mirrors", None)
        for config in registry.get("configs", {}).values():
            config.pop("tls", None)


def _overlay(settings: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if isinstance(value, Mapping):
            if not isinstance(settings.get(key), dict):
                settings[key] = {}
            _overlay(settings[key], value)
        else:
            settings[key] = value
