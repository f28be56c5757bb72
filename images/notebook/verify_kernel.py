"""Prove, in the image it will run in, that the user's Python can be a notebook's kernel."""

from __future__ import annotations

import importlib

PACKAGES = ("ipykernel_launcher", "ipywidgets", "matplotlib_inline", "numpy", "plotly.graph_objects", "pylsp")


def main() -> None:
    """End with the import that fails."""
    for name in PACKAGES:
        importlib.import_module(name)


if __name__ == "__main__":
    main()
