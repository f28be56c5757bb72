"""Files made from `host-setup/templates/`, with Jinja2; an unknown name in a template is an error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from kubelab_helpers import resources

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(resources.path("host-setup/templates"))
    # The templates are configuration files and YAML, where HTML escaping would do harm.
    return Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701


def render(name: str, **values: Any) -> bytes:
    """Return the template `name` (relative to host-setup/templates) with its values put in."""
    return _environment().get_template(name).render(**values).encode()
