"""Write the kernelspec of the Python that runs this: ``write_kernelspec.py FOLDER``.

It is named ``python3``, so that a notebook file opens with whichever Python the user picked.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Write FOLDER/python3/kernel.json and ipykernel's logos beside it."""
    target = Path(sys.argv[1]) / "python3"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    spec = {
        "argv": [f"{sys.prefix}/bin/python{version}", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"Python {version}",
        "language": "python",
        "metadata": {"debugger": True},
    }
    target.mkdir(parents=True)
    (target / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
    # importlib.resources has `files` only since 3.9.
    for resource in (Path(find_spec("ipykernel").origin).parent / "resources").iterdir():
        if resource.name.startswith("logo-"):
            (target / resource.name).write_bytes(resource.read_bytes())


if __name__ == "__main__":
    main()
