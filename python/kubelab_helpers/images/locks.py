"""`images/locks.yaml` as frozen data: every lock of the images' packages, and whether it is of today's inputs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kubelab_helpers import resources
from kubelab_helpers.document import read_valid
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.images.catalog import ImageCatalog, load_catalog

FORMAT = "lock-1"
HEADER = re.compile(r"# kubelab image lock: Python \S+, inputs ([0-9a-f]{64})$", re.MULTILINE)
FURTHER_FILE = re.compile(r"(?:-r|--requirement)[ =]*(\S+)$")
PIN = re.compile(r"[A-Za-z0-9][^\s=]*==[^\s;\\]+")

State = Literal["current", "outdated", "absent"]
"""`outdated`: locked from other requirements, or for another platform."""


@dataclass(frozen=True)
class Lock:
    """One lock: what is asked for, the file it is written to, and for which Python and platform (in uv's words).

    Its files are named from `folder`. `images`: those that install it, by name; a family, by its name, where the Python
    of an image does not matter.
    """

    folder: Path
    input: str
    output: str
    python: str
    platform: str
    constraints: str | None = None
    overrides: str | None = None
    images: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where the lock is, or is to be."""
        return self.folder / self.output

    def digest(self) -> str:
        """Return a SHA-256 over what decides the lock; comments, empty lines and the time are no part of it.

        Of the constraints the releases count.
        """
        parts = [FORMAT, self.python, self.platform, *read_requirements(self.folder / self.input)]
        if self.constraints:
            parts += [f"-c {pin}" for pin in read_pins(self.folder / self.constraints)]
        if self.overrides:
            parts += [f"--override {each}" for each in read_requirements(self.folder / self.overrides)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def header(self) -> str:
        """Return the first line of the lock, by which `state` knows it again."""
        return f"# kubelab image lock: Python {self.python}, inputs {self.digest()}\n"

    def state(self) -> State:
        """Return whether the lock that is there was made of today's inputs."""
        if not self.path.is_file():
            return "absent"
        found = HEADER.match(self.path.read_text())
        return "current" if found and found[1] == self.digest() else "outdated"


def load_locks(
    pythons: Sequence[str] | None = None, folder: Path | None = None, catalog: ImageCatalog | None = None
) -> list[Lock]:
    """Read `locks.yaml` of `folder` (default: the images'); with `pythons`, only the locks of those Pythons' images.

    InvalidInputError says where the file is wrong, names an input that is not there, or a Python without an image.
    """
    catalog, folder = catalog or load_catalog(), folder or resources.path("images")
    data = read_valid(folder / "locks.yaml", resources.path("images/locks.schema.json"))
    if pythons is not None:
        catalog.select([], pythons)
    versions = [each.version for each in catalog.pythons.values() if each.origin]
    found: list[Lock] = []
    for entry in data["locks"]:
        for name in ("input", "overrides"):
            if name in entry and not (folder / entry[name]).is_file():
                said = f"locks.yaml: there is no {entry[name]}"
                raise InvalidInputError(said, next_step="write it, or mend the entry")
        own = "python" in entry
        for version in [entry["python"]] if own else versions:
            if pythons is None or (not own and version in pythons):
                words = {name: text.format(python=version) for name, text in entry.items()} | {"python": version}
                images = tuple(_installers(catalog, words["output"], None if own else version))
                found.append(Lock(folder, **words, platform=data["platform"], images=images))
    return found


def read_pins(file: Path) -> list[str]:
    """Return each release of a lock, such as `numpy==1.24.4`; none if it is not there."""
    lines = file.read_text().splitlines() if file.is_file() else []
    return [found[0] for line in lines if (found := PIN.match(line))]


def read_requirements(file: Path) -> list[str]:
    """Return the requirements of a file, those of the files it names in their place, without comments."""
    found = []
    for line in file.read_text().splitlines():
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if further := FURTHER_FILE.match(text):
            found += read_requirements(file.parent / further[1])
        elif text:
            found.append(text)
    return found


def _installers(catalog: ImageCatalog, output: str, version: str | None) -> Iterator[str]:
    """Yield the images whose build sees the lock; a family is named once where its Python does not matter."""
    seen = set()
    for image in catalog.images.values():
        if image.folder != output.partition("/")[0]:
            continue
        if version is None and image.repository not in seen:
            seen.add(image.repository)
            yield image.repository
        elif image.python and image.python.version == version:
            yield image.name
