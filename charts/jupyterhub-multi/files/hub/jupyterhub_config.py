"""JupyterHub's configuration, in the chart's one order; the parts stand in the package beside it.

chart defaults < values < `hub.config` < `hub.extraConfig` by key order; then an unknown trait stops the hub.
"""

from __future__ import annotations

from kubelab_hub.authentication import configure_authentication
from kubelab_hub.extra import apply_config, apply_extra_config
from kubelab_hub.service import configure_service
from kubelab_hub.services import configure_services
from kubelab_hub.settings import read_settings
from kubelab_hub.spawning import configure_spawning
from kubelab_hub.traits import refuse_unknown_traits
from kubelab_hub.waiting import shorten_waits

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # traitlets puts it here

settings = read_settings()
shorten_waits()
configure_service(c, settings)
configure_spawning(c, settings)
configure_services(c, settings)
apply_config(c, settings)
apply_extra_config(c, settings)
configure_authentication(c, settings)
refuse_unknown_traits(c)
