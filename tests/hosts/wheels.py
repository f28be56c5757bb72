"""kubelab as a person installs it: the wheel of this tree, and what it needs, as requirements.lock pins it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def download_wheels(folder: Path) -> None:
    """Put kubelab's wheel and everything it needs to run into a folder, each by its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    lock = folder / "runtime.lock"
    lock.write_text("".join(_pins()[name] for name in sorted(_runtime_names("kubelab-helpers"))))
    _run("-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock), "--dest", str(folder))


def _pins() -> dict[str, str]:
    """Return each package's lines of the lock: its version and its hashes."""
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.findall(r"^[A-Za-z0-9][^\n]*(?:\n[ ]+[^\n]*)*\n", text, re.MULTILINE)
    return {_normal(re.split(r"[=\[ ]", block)[0]): block for block in blocks}


def _runtime_names(package: str, seen: frozenset[str] = frozenset()) -> set[str]:
    found: set[str] = set()
    for text in requires(package) or ():
        requirement = Requirement(text)
        name = _normal(requirement.name)
        if (requirement.marker is None or requirement.marker.evaluate({"extra": ""})) and name not in seen:
            found |= {name, *_runtime_names(name, seen | found | {name})}
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=300)
