"""Write what `python-info` tells of the Python that runs this: ``write_description.py END-OF-LIFE ORIGIN``."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path


def main() -> None:
    """Write PREFIX/share/kubelab/python.json."""
    # A root file system's image name, such as localhost/kubelab/base-debian-trixie:KEY.
    origin = sys.argv[2].rsplit("/", 1)[-1].split(":")[0]
    if origin.startswith("base-"):
        origin = origin[len("base-") :]  # `removeprefix` is not in 3.8
    described = {"version": platform.python_version(), "end_of_life": sys.argv[1], "origin": origin}
    target = Path(sys.prefix, "share/kubelab/python.json")
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
