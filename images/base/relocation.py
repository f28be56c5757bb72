"""What moving a CPython to a prefix of its own takes, wherever it came from. Needs ``ldd``, ``strip``, ``patchelf``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

if False:  # typing costs time, and the oldest Python that runs this has no built-in generics in it
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LIBRARY_FOLDERS = ("lib", "usr/lib", "lib/{triplet}", "usr/lib/{triplet}")
# The C library belongs to the loader: a copy of it must never be mixed with the target's.
GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|util|pthread|resolv|anl|nss_.*)\.so\.\d+)")


def read_needed_libraries(binary: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return soname -> path of every library that a binary loads, transitively, as ``ldd`` finds them."""
    run = subprocess.run(
        ["ldd", str(binary)], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    if "not found" in run.stdout:
        sys.exit(f"{binary} does not load here:\n{run.stdout}")
    return dict(re.findall(r"(\S+) => (/\S+)", run.stdout))


def is_in_base(base: Path, soname: str, triplet: str) -> bool:
    """Tell whether the target's loader will find a library."""
    return any((base / folder.format(triplet=triplet) / soname).exists() for folder in LIBRARY_FOLDERS)


def bundle_libraries(
    prefix: Path, binaries: Sequence[Path], base: Path, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Copy what the target ``base`` lacks to ``prefix``/lib/bundled and make every binary look there, and only there.

    ``environment``: how ``ldd`` finds libraries that are not the system's. Returns the sonames.
    """
    triplet = sys.implementation._multiarch
    bundled = prefix / "lib/bundled"
    missing: dict[str, str] = {}
    users: list[tuple[Path, str]] = []
    for binary in binaries:
        lacking = {
            soname: path
            for soname, path in read_needed_libraries(binary, environment or {}).items()
            if not GLIBC.fullmatch(soname) and not is_in_base(base, soname, triplet)
        }
        missing.update(lacking)
        users.append((binary, f"$ORIGIN/{os.path.relpath(bundled, binary.parent)}" if lacking else ""))
    for soname, path in missing.items():
        bundled.mkdir(exist_ok=True)
        shutil.copy2(path, bundled / soname)
        users.append((bundled / soname, "$ORIGIN"))
    for binary, rpath in users:
        # Before patchelf and not after it: what it has moved may not be aligned any more once stripped.
        subprocess.run(["strip", "--strip-unneeded", str(binary)], check=True)
        change = ["--set-rpath", rpath] if rpath else ["--remove-rpath"]
        subprocess.run(["patchelf", *change, str(binary)], check=True)
    return sorted(missing)


def replace_in(path: Path, pattern: re.Pattern[str], replacement: str) -> None:
    """Replace every match in a file; text that is no longer there must be looked at by a person."""
    text, count = pattern.subn(lambda _: replacement, path.read_text(encoding="utf-8"))
    if count == 0:
        sys.exit(f"{path}: {pattern.pattern!r} not found: what is moved has changed, adapt its relocation")
    path.write_text(text, encoding="utf-8")
