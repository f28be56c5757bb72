"""The operator's own configuration: traits by class, then Python snippets by key order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kubelab_hub.traits import refuse_unknown_names

if TYPE_CHECKING:
    from kubelab_hub.settings import Settings


def apply_config(c: Any, settings: Settings) -> None:
    """Set the traits of `hub.config`; a null leaves what was set before."""
    config = settings["hub"]["config"]
    refuse_unknown_names(config, "hub.config")
    for section, traits in config.items():
        for name, value in traits.items():
            if value is not None:
                c[section][name] = value


def find_setting(values: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """Return what stands at `key`, as `custom.course.name`, or `default`."""
    found: Any = values
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return default
        found = found[part]
    return found


def apply_extra_config(c: Any, settings: Settings) -> None:
    """Run the snippets of `hub.extraConfig` by key order, each with `c` and `get_config(key, default)`.

    zero-to-jupyterhub's snippets call it for `custom` values: its `z2jh.get_config`.
    """
    snippets = settings["hub"]["extraConfig"]
    get_config = partial(find_setting, settings.values)
    for key in sorted(snippets):
        code = compile(snippets[key], f"hub.extraConfig.{key}", "exec")
        exec(code, {"c": c, "get_config": get_config, "__name__": f"hub.extraConfig.{key}"})  # noqa: S102  # that is what the value is for
