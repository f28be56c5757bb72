"""Where the data beside the code is: `charts/`, `images/`, `host-setup/`, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """Return the folder that holds `charts/`, `images/` and `host-setup/`.

    The wheel carries them in `kubelab_helpers/data` (pyproject.toml, force-include); a checkout has them at its top.
    """
    packaged = _PACKAGE / "data"
    return packaged if packaged.is_dir() else _PACKAGE.parent.parent


def path(relative: str) -> Path:
    """Return the path of a data file or folder, such as `host-setup/artifacts.yaml`.

    Raises FileNotFoundError if this installation does not carry it.
    """
    found = root() / relative
    if not found.exists():
        raise FileNotFoundError(f"kubelab's own data file {relative} is missing from {root()}")
    return found
