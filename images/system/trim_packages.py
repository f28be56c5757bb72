#!/usr/bin/env python3
"""Take out of installed packages what no user runs, then compile the rest: ``trim_packages.py PREFIX``.

That is: the packages' own tests, C sources beside what was compiled from them, maps for a browser's debugger, and the
symbol tables of extension modules. A library that cannot be loaded once it is stripped keeps its symbols: scipy 1.18's
OpenBLAS, which auditwheel patched, ends with "ELF load command address/offset not page-aligned" (binutils 2.40).
Needs binutils; run it with the Python whose packages they are.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

SOURCES = {".c", ".cpp", ".map", ".pxd", ".pyx"}
IMPORTED_TESTS = re.compile(r"^\s*(?:from|import)\s+((?:\w+\.)+tests(?:\.\w+)+)", re.MULTILINE)
ELF = b"\x7fELF"


def remove_unused(packages: Path) -> int:
    """Remove tests and sources below site-packages; return the bytes that went."""
    freed, needed = 0, find_needed_tests(packages)
    for folder, names, files in os.walk(packages):
        here = Path(folder)
        # A top-level `tests` would be a package of that name.
        for name in [name for name in names if name == "tests" and here != packages]:
            freed += remove_tests(here / name, needed)
            names.remove(name)
        for name in files:
            if Path(name).suffix in SOURCES:
                freed += (here / name).lstat().st_size
                (here / name).unlink()
    return freed


def find_needed_tests(packages: Path) -> set[Path]:
    """Return the modules below a `tests` that a module outside of one imports: numpy 2.2's numpy.testing does."""
    outside = (file for file in packages.rglob("*.py") if "tests" not in file.relative_to(packages).parts)
    names = {name for file in outside for name in IMPORTED_TESTS.findall(file.read_text(errors="replace"))}
    return {packages.joinpath(*name.split(".")).with_suffix(".py") for name in names}


def remove_tests(folder: Path, needed: set[Path]) -> int:
    """Remove a package's tests, but for needed modules and what makes them a package; return the bytes that went."""
    kept = {file for file in needed if folder in file.parents}
    kept |= {parent / "__init__.py" for file in kept for parent in file.parents if folder in (parent, *parent.parents)}
    freed = 0
    for file in [each for each in folder.rglob("*") if not each.is_dir() or each.is_symlink()]:
        if file not in kept:
            freed += file.lstat().st_size
            file.unlink()
    for each in sorted((each for each in (folder, *folder.rglob("*")) if each.is_dir()), reverse=True):
        if not any(each.iterdir()):
            each.rmdir()
    return freed


def strip_libraries(packages: Path) -> int:
    """Strip the extension modules below site-packages that survive it; return the bytes that went."""
    freed = 0
    for file in sorted(packages.rglob("*.so*")):
        if file.is_symlink() or not file.is_file() or not is_elf(file):
            continue
        stripped = file.with_name(f".{file.name}.stripped")
        made = subprocess.run(["strip", "--strip-unneeded", "-o", stripped, file], check=False, capture_output=True)
        loads = made.returncode == 0 and can_be_loaded(stripped) >= can_be_loaded(file)
        if loads and stripped.stat().st_size < file.stat().st_size:
            freed += file.stat().st_size - stripped.stat().st_size
            shutil.copystat(file, stripped)
            stripped.replace(file)
        else:
            stripped.unlink(missing_ok=True)
    return freed


def is_elf(file: Path) -> bool:
    """Return whether a file is a program or library for this system."""
    with file.open("rb") as opened:
        return opened.read(4) == ELF


def can_be_loaded(library: Path) -> bool:
    """Return whether the dynamic linker takes a library, with all that it needs."""
    asked = subprocess.run(["ldd", library], check=False, capture_output=True, text=True)
    return asked.returncode == 0 and "not found" not in asked.stdout


def main() -> None:
    """Trim and compile what is installed below the prefix."""
    prefix = Path(sys.argv[1])
    for packages in prefix.glob("lib/python3.*/site-packages"):
        freed = remove_unused(packages) + strip_libraries(packages)
        sys.stderr.write(f"{packages}: {freed // 10**6} MB of tests, sources and symbols taken out\n")
    # By content, so that a time that a copy changes does not make them stale.
    mode = PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(prefix / "lib", quiet=1, force=True, invalidation_mode=mode, workers=0, maxlevels=20):
        sys.stderr.write("some files are no Python of this version, which packages ship on purpose\n")


if __name__ == "__main__":
    main()
