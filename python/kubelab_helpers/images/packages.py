"""The packages in an image's file system, from what their package managers wrote about them.

https://manpages.debian.org/trixie/libdpkg-dev/deb-control.5.en.html (paragraphs of the form of RFC 822's headers)
https://packaging.python.org/en/latest/specifications/core-metadata/
https://docs.npmjs.com/cli/v11/configuring-npm/package-json
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import HeaderParser
from typing import Any, Literal

from kubelab_helpers.images.filesystem import read_member

Kind = Literal["deb", "pypi", "npm", "cpython", "file"]
DPKG_STATUS = "var/lib/dpkg/status"
OS_RELEASE = "usr/lib/os-release"
# What lies below /usr is Debian's, and in its own list already.
OWN_ROOTS = ("opt/", "usr/local/")
# An environment's own distributions: what one carries below `_vendor` is its business, and is in its files.
DISTRIBUTION = re.compile(r".*/(?:site|dist)-packages/[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO)")
NPM_PACKAGE = re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/]+/package\.json")
INTERPRETER = re.compile(
    r"opt/python/(?P<minor>\d+\.\d+)/(?:bin/python|lib/(?:bundled/)?libpython)(?P=minor)(?:\.so.*)?"
)
BUNDLED_LIBRARY = re.compile(r"opt/python/[^/]+/lib/bundled/(?!libpython)[^/]+")


@dataclass(frozen=True)
class Package:
    """One package at one place: `location` is the file that tells of it.

    `licenses`: what its own metadata says, at best one SPDX expression. `source`: a Debian package's source package and
    its version. A `file` has no package's name or version, only its own and its `sha256`.
    """

    kind: Kind
    name: str
    version: str
    location: str
    licenses: tuple[str, ...] = ()
    architecture: str = ""
    source: str = ""
    sha256: str = ""


@dataclass
class Contents:
    """What an image holds: its operating system's name and version, and its packages as they were met."""

    system: str = ""
    system_version: str = ""
    packages: list[Package] = field(default_factory=list)


def read_contents(tar: tarfile.TarFile) -> Contents:
    """Read an image's file system once and return what is in it."""
    contents = Contents()
    for member in tar:
        name = member.name.removeprefix("./")
        if not member.isfile():
            continue
        if name == OS_RELEASE:
            release = parse_os_release(read_member(tar, member).decode())
            contents.system, contents.system_version = release.get("ID", ""), release.get("VERSION_ID", "")
        elif name == DPKG_STATUS:
            contents.packages += parse_dpkg_status(read_member(tar, member).decode(), f"/{name}")
        elif name.startswith(OWN_ROOTS):
            contents.packages += _read_own(tar, member, name)
    return contents


def parse_os_release(text: str) -> dict[str, str]:
    """Return the variables of an os-release file: https://www.freedesktop.org/software/systemd/man/os-release.html."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def parse_dpkg_status(text: str, location: str) -> Iterator[Package]:
    """Yield the packages that are installed; one that was removed and left its settings is not in the image."""
    # python-debian reads this too; its licence (GPL) would become that of whoever ships kubelab with it.
    for paragraph in re.split(r"\n\n+", text.strip()):
        entry = HeaderParser().parsestr(paragraph)
        if not entry["Package"] or entry.get("Status", "").split()[-1:] != ["installed"]:
            continue
        name, version = entry["Package"], entry["Version"]
        source = _source_of(name, version, entry.get("Source", ""))
        yield Package("deb", name, version, location, architecture=entry["Architecture"], source=source)


def parse_distribution(text: str, location: str) -> Package | None:
    """Return the Python distribution that a METADATA or PKG-INFO file describes; None for a file that names none."""
    entry = HeaderParser().parsestr(text)
    if not entry["Name"] or not entry["Version"]:
        return None
    return Package("pypi", entry["Name"], entry["Version"], location, _python_licenses(entry))


def parse_npm_package(text: str, location: str) -> Package | None:
    """Return the npm package that a package.json describes; None for a file without name or version."""
    entry: dict[str, Any] = json.loads(text)
    if not entry.get("name") or not entry.get("version"):
        return None
    told = entry.get("license") or entry.get("licenses") or ()
    several = told if isinstance(told, list) else [told] if told else []
    licenses = tuple(str(each.get("type", "")) if isinstance(each, dict) else str(each) for each in several)
    return Package("npm", entry["name"], entry["version"], location, tuple(filter(None, licenses)))


def find_cpython(content: bytes, minor: str, location: str) -> Package | None:
    """Return the CPython whose interpreter or library has this content; its full version stands in it as a C string."""
    # A linker lets it share the end of a longer string, such as a path: what comes before it need not be a zero.
    pattern = rb"(?<![\d.])(" + re.escape(minor).encode() + rb"\.\d+(?:(?:a|b|rc)\d+)?\+?)\x00"
    found = re.search(pattern, content)
    return Package("cpython", "python", found[1].decode(), location, ("PSF-2.0",)) if found else None


def _read_own(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Iterator[Package]:
    location = f"/{name}"
    found: Package | None = None
    if DISTRIBUTION.fullmatch(name):
        found = parse_distribution(read_member(tar, member).decode(errors="replace"), location)
    elif NPM_PACKAGE.fullmatch(name):
        found = parse_npm_package(read_member(tar, member).decode(), location)
    elif interpreter := INTERPRETER.fullmatch(name):
        found = find_cpython(read_member(tar, member), interpreter["minor"], location)
    elif BUNDLED_LIBRARY.fullmatch(name):
        digest = hashlib.sha256(read_member(tar, member)).hexdigest()
        found = Package("file", name.rpartition("/")[2], "", location, sha256=digest)
    if found:
        yield found


def _source_of(name: str, version: str, field_text: str) -> str:
    """Return `source@version` of a binary package; its own name and version are left out of the field by dpkg."""
    written = re.fullmatch(r"(\S+)(?: \((\S+)\))?", field_text.strip())
    return f"{written[1]}@{written[2] or version}" if written else f"{name}@{version}"


def _python_licenses(entry: Any) -> tuple[str, ...]:
    """Return the licence by PEP 639, else the short old field, else the classifiers' names."""
    if expression := entry.get("License-Expression", "").strip():
        return (expression,)
    short = entry.get("License", "").strip()
    if short and "\n" not in short and short.upper() != "UNKNOWN":
        return (short,)
    classifiers = [each for each in entry.get_all("Classifier", ()) if each.startswith("License ::")]
    names = (each.rpartition("::")[2].strip() for each in classifiers)
    return tuple(dict.fromkeys(each for each in names if each != "OSI Approved"))
