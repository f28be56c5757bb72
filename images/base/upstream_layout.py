"""Read packages from ``site-packages`` as upstream does, although Debian's ``site`` reads ``dist-packages``.

``site`` is frozen into the interpreter since CPython 3.11, so its source cannot be changed; a ``.pth`` file in the one
folder that Debian's still reads imports this at every start. (``sitecustomize`` could be shadowed by PYTHONPATH.)
"""

from __future__ import annotations

import site
import sys

if False:  # typing costs time at every start
    from collections.abc import Iterable


def getsitepackages(prefixes: Iterable[str] | None = None) -> list[str]:
    """Return upstream's folders, without Debian's: see ``site.getsitepackages``."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    known = dict.fromkeys(site.PREFIXES if prefixes is None else prefixes)
    return [f"{prefix}/{sys.platlibdir}/{version}/site-packages" for prefix in known if prefix]


site.getsitepackages = getsitepackages
site.addsitepackages(site.removeduppaths())
