"""Move a CPython that has a prefix of its own: ``relocate_installation.py X.Y FOUND PREFIX --base BASE``.

FOUND is the root of what was packed from a machine (``prefix`` and ``lib``), or of an official ``python`` image
(``usr/local`` and its system's libraries). Run it with any Python; the moved one need not run before it is whole.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import sys
from pathlib import Path

from relocation import GLIBC, bundle_libraries

LEFT_OUT = ("__pycache__", "site-packages", "test", "tests", "tkinter", "_tkinter*.so", "idlelib", "turtledemo", "*.a")
SYSTEM_LIBRARIES = ("lib/{triplet}", "usr/lib/{triplet}")


def find_prefix(found: Path) -> Path:
    """Return where the installation is in FOUND."""
    return next(path for path in (found / "prefix", found / "usr/local") if path.is_dir())


def link_libraries(found: Path, prefix: Path, folder: Path) -> None:
    """Make a folder in which ``ldd`` finds what the installation brought, but no C library of another system."""
    triplet = sys.implementation._multiarch
    sources = [found / "lib", prefix / "lib"]
    if prefix.name == "local":
        sources = [*(found / each.format(triplet=triplet) for each in SYSTEM_LIBRARIES), prefix / "lib"]
    folder.mkdir()
    for source in sources:
        for library in source.glob("lib*.so*"):
            if not GLIBC.fullmatch(library.name) and not (folder / library.name).exists():
                (folder / library.name).symlink_to(library.resolve())


def wheel_version(wheel: Path) -> tuple[int, ...]:
    """Return the numbers of a wheel's version."""
    return tuple(int(number) for number in wheel.name.split("-")[1].split("."))


def copy_installation(prefix: Path, version: str, target: Path) -> list[Path]:
    """Copy program, standard library and headers; return the copied binaries."""
    library = target / f"lib/python{version}"
    shutil.copytree(prefix / f"lib/python{version}", library, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (library / "site-packages").mkdir()
    for folder in prefix.glob(f"include/python{version}*"):
        shutil.copytree(folder, target / "include" / folder.name)
    (target / "bin").mkdir()
    program = target / f"bin/python{version}"
    shutil.copy2(prefix / f"bin/python{version}", program)
    for name in ("python3", "python"):
        (target / "bin" / name).symlink_to(program.name)
    # Where the rest of the build looks for the first pip, as in Debian's layout. An update may leave two.
    wheels = target / "share/python-wheels"
    wheels.mkdir(parents=True)
    shutil.copy2(max((library / "ensurepip/_bundled").glob("pip-*.whl"), key=wheel_version), wheels)
    return [program, *sorted((library / "lib-dynload").glob("*.so"))]


def name_prefix(target: Path, version: str) -> None:
    """Let the build settings, from which extensions are compiled, name the new prefix."""
    for data in (target / f"lib/python{version}").glob("_sysconfigdata_*.py"):
        text = data.read_text(encoding="utf-8")
        settings = ast.literal_eval(text.partition("build_time_vars =")[2].strip())
        data.write_text(text.replace(settings["prefix"], str(target)), encoding="utf-8")


def main() -> None:
    """Move one installation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="X.Y")
    parser.add_argument("found", type=Path)
    parser.add_argument("prefix", type=Path, help="where the copy goes, for example /opt/python/3.8")
    parser.add_argument("--base", type=Path, required=True, help="root file system that it will run on")
    arguments = parser.parse_args()
    prefix, libraries = find_prefix(arguments.found), Path("/build/libraries")
    link_libraries(arguments.found, prefix, libraries)
    binaries = copy_installation(prefix, arguments.version, arguments.prefix)
    name_prefix(arguments.prefix, arguments.version)
    bundled = bundle_libraries(arguments.prefix, binaries, arguments.base, {"LD_LIBRARY_PATH": str(libraries)})
    sys.stderr.write(f"{arguments.prefix}: bundled libraries: {', '.join(bundled) or 'none'}\n")


if __name__ == "__main__":
    main()
