#!/usr/bin/env python3
"""Tell which Python this is, until when it is mended, which packages it has, and what this container may use.

``python-info`` for people, ``python-info --json`` for programs, ``python-info --check`` for Docker's health check.
It runs with the Python that is first on PATH, from 3.8 on, and asks nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import date
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

PYTHONS = Path("/opt/python")
DESCRIPTION = "share/kubelab/python.json"
CGROUP = Path("/sys/fs/cgroup")
# A cgroup v1 without a limit says the largest number of pages instead:
# https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
UNLIMITED_BYTES = 1 << 60
SHOWN_PACKAGES = ("numpy", "scipy", "pandas", "matplotlib", "plotly", "ipykernel", "pytest", "mypy", "ruff")
CHECKED = ("ssl", "sqlite3", "numpy")


def read_text(path: Path) -> str | None:
    """Return a small file's text without surrounding space; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def read_description() -> dict[str, Any]:
    """Return what the image's build wrote beside this Python: version, end of life and origin."""
    text = read_text(Path(sys.prefix, DESCRIPTION))
    return json.loads(text) if text else {"version": platform.python_version(), "end_of_life": None, "origin": None}


def list_packages() -> dict[str, str]:
    """Return the version of each package by its name; one in the home goes before the image's."""
    found = {}
    for each in metadata.distributions():
        name = each.metadata["Name"]
        if name and name not in found:
            found[name] = each.version
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def read_memory_limit() -> int | None:
    """Return the memory that this container may use, in bytes; None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = read_text(CGROUP / name)
        if text and text.isdigit() and int(text) < UNLIMITED_BYTES:
            return int(text)
    given = os.environ.get("MEM_LIMIT", "")  # https://jupyterhub-kubespawner.readthedocs.io: the spawner says it too
    return int(given) if given.isdigit() else None


def read_memory_used() -> int | None:
    """Return the memory that this container uses now, in bytes; None if the kernel does not say."""
    for name in ("memory.current", "memory/memory.usage_in_bytes"):
        text = read_text(CGROUP / name)
        if text and text.isdigit():
            return int(text)
    return None


def read_cpu_limit() -> float | None:
    """Return how many processors' time this container may use, such as 0.5; None without a limit."""
    text = read_text(CGROUP / "cpu.max")
    if text:
        quota, _, period = text.partition(" ")
    else:
        quota = read_text(CGROUP / "cpu/cpu.cfs_quota_us") or "max"
        period = read_text(CGROUP / "cpu/cpu.cfs_period_us") or "100000"
    return int(quota) / int(period) if quota.isdigit() and int(period) else None


def read_home() -> dict[str, Any]:
    """Return the home folder, with the bytes of its volume and those that are free."""
    home = Path.home()
    volume = os.statvfs(home)
    return {
        "path": str(home),
        "size_bytes": volume.f_blocks * volume.f_frsize,
        "free_bytes": volume.f_bavail * volume.f_frsize,
    }


def read_info() -> dict[str, Any]:
    """Return all that is told, as `--json` writes it: bytes, processors, versions by package name."""
    others = sorted(path.name for path in PYTHONS.glob("3.*")) if PYTHONS.is_dir() else []
    return {
        "python": {**read_description(), "executable": sys.executable, "implementation": sys.implementation.name},
        "pythons": sorted(others, key=lambda version: [int(part) for part in version.split(".")]),
        "packages": list_packages(),
        "memory": {"limit_bytes": read_memory_limit(), "used_bytes": read_memory_used()},
        "cpu": {"limit": read_cpu_limit(), "processors": os.cpu_count()},
        "home": read_home(),
    }


def tell_support(end_of_life: str | None, today: date) -> str:
    """Return until when a Python is mended, as a sentence."""
    if end_of_life is None:
        return "not known"
    end = date.fromisoformat(end_of_life)
    told = f"{end.day} {end:%B %Y}"
    return "security fixes until " + told if today <= end else "no security fixes since " + told


def tell_bytes(count: int | None) -> str:
    """Return a number of bytes as people read it."""
    return "not known" if count is None else f"{count / (1 << 30):.1f} GiB"


def tell(info: dict[str, Any], today: date) -> list[str]:
    """Return the lines for people."""
    python, memory, cpu, home = info["python"], info["memory"], info["cpu"], info["home"]
    limit = "no limit" if memory["limit_bytes"] is None else tell_bytes(memory["limit_bytes"])
    shares = "no limit" if cpu["limit"] is None else "{:g}".format(cpu["limit"])
    chosen = ["{} {}".format(name, info["packages"][name]) for name in SHOWN_PACKAGES if name in info["packages"]]
    rows = [
        ("Python", "{} ({}), {}".format(python["version"], python["implementation"], python["executable"])),
        ("from", python["origin"] or "not known"),
        ("support", tell_support(python["end_of_life"], today)),
        ("packages", "{}: {}, ... (all: pip list)".format(len(info["packages"]), ", ".join(chosen))),
        ("processors", "{} of {}".format(shares, cpu["processors"])),
        ("memory", "{}, of which {} used".format(limit, tell_bytes(memory["used_bytes"]))),
        (
            "home",
            "{}: {} of {} free".format(home["path"], tell_bytes(home["free_bytes"]), tell_bytes(home["size_bytes"])),
        ),
    ]
    if len(info["pythons"]) > 1:
        rows.insert(1, ("also here", ", ".join(info["pythons"])))
    return ["{:<11} {}".format(*row) for row in rows]


def main() -> None:
    """Write what was asked for; exit status 1 when this Python is not whole."""
    parser = argparse.ArgumentParser(prog="python-info", description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--json", action="store_true", help="as one JSON document")
    choice.add_argument("--check", action="store_true", help="only whether this Python can load its own libraries")
    arguments = parser.parse_args()
    if arguments.check:
        for name in CHECKED:
            import_module(name)
        return
    info = read_info()
    if arguments.json:
        sys.stdout.write(json.dumps(info, indent=1) + "\n")
        return
    today = date.today()  # noqa: DTZ011 — an end of life is a day, in the reader's calendar
    sys.stdout.write("\n".join(tell(info, today)) + "\n")


if __name__ == "__main__":
    main()
