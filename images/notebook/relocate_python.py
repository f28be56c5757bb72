"""Copy a Debian suite's Python to a prefix of its own, so that it runs on another Debian release.

Debian patches CPython to install under ``/usr/local`` and to read ``dist-packages``; the copy gets upstream's
layout back (``PREFIX/lib/pythonX.Y/site-packages``). Shared libraries that the target does not have, or has under
another soname, travel along in ``PREFIX/lib/bundled``. Needs ``ldd`` and ``patchelf``; run it with the Python to move.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STDLIB = Path(f"/usr/lib/python{VERSION}")
WHEELS = Path("/usr/share/python-wheels")
LIBRARY_FOLDERS = ("lib", "usr/lib", "lib/{triplet}", "usr/lib/{triplet}")
DEBIAN_ONLY = (
    "EXTERNALLY-MANAGED",
    "sitecustomize.py",
    "_distutils_system_mod.py",
    "test",
    "__pycache__",
    "dist-packages",
)
# The C library belongs to the loader: a copy of it must never be mixed with the target's.
GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|util|pthread|resolv|anl|nss_.*)\.so\.\d+)")


def replace_in(path: Path, pattern: re.Pattern[str], replacement: str) -> None:
    """Replace every match in a file; a Debian that no longer has the text must be looked at by a person."""
    text, count = pattern.subn(lambda _: replacement, path.read_text(encoding="utf-8"))
    if count == 0:
        sys.exit(f"{path}: {pattern.pattern!r} not found: Debian's patch changed, adapt relocate_python.py")
    path.write_text(text, encoding="utf-8")


def copy_interpreter(prefix: Path) -> Path:
    """Copy the program and its standard library; return the copied library's folder."""
    library = prefix / "lib" / STDLIB.name
    shutil.copytree(STDLIB, library, symlinks=False, ignore=shutil.ignore_patterns(*DEBIAN_ONLY))
    (library / "site-packages").mkdir()
    (prefix / "bin").mkdir()
    shutil.copy2(f"/usr/bin/python{VERSION}", prefix / "bin" / f"python{VERSION}")
    for name in ("python3", "python"):
        (prefix / "bin" / name).symlink_to(f"python{VERSION}")
    shutil.copytree(WHEELS, prefix / "share/python-wheels", symlinks=False)
    return library


def restore_upstream_layout(prefix: Path, library: Path) -> None:
    """Undo Debian's changes to where packages are looked for and installed, and name the new prefix."""
    (library / "dist-packages").mkdir()
    shutil.copy2(Path(__file__).with_name("upstream_layout.py"), library / "dist-packages")
    (library / "dist-packages/upstream-layout.pth").write_text("import upstream_layout\n", encoding="utf-8")
    sysconfig = library / "sysconfig.py"
    if not sysconfig.exists():  # a package since 3.13
        sysconfig = library / "sysconfig/__init__.py"
    replace_in(sysconfig, re.compile(r"(?<=prefix_scheme = )'(deb_system|posix_local)'"), "'posix_prefix'")
    for data in library.glob("_sysconfigdata_*.py"):
        replace_in(data, re.compile(r"(?<=['\" =])/usr(?=[/'\"])"), str(prefix))


def read_needed_libraries(binary: Path) -> dict[str, Path]:
    """Return soname -> path of every library that a binary loads, transitively, as ``ldd`` finds them."""
    run = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True)
    if "not found" in run.stdout:
        sys.exit(f"{binary} does not load here:\n{run.stdout}")
    return {soname: Path(path) for soname, path in re.findall(r"(\S+) => (/\S+)", run.stdout)}


def is_in_base(base: Path, soname: str, triplet: str) -> bool:
    """Tell whether the target's loader will find a library."""
    return any((base / folder.format(triplet=triplet) / soname).exists() for folder in LIBRARY_FOLDERS)


def bundle_libraries(prefix: Path, library: Path, base: Path) -> list[str]:
    """Copy what the target lacks beside the interpreter and make every binary look there; return the sonames."""
    triplet = sys.implementation._multiarch
    bundled = prefix / "lib/bundled"
    binaries = [prefix / "bin" / f"python{VERSION}", *sorted((library / "lib-dynload").glob("*.so"))]
    missing: dict[str, Path] = {}
    users: list[tuple[Path, str]] = []
    for binary in binaries:
        lacking = {
            soname: path
            for soname, path in read_needed_libraries(binary).items()
            if not GLIBC.fullmatch(soname) and not is_in_base(base, soname, triplet)
        }
        missing.update(lacking)
        if lacking:
            users.append((binary, f"$ORIGIN/{os.path.relpath(bundled, binary.parent)}"))
    for soname, path in missing.items():
        bundled.mkdir(exist_ok=True)
        shutil.copy2(path, bundled / soname)
        users.append((bundled / soname, "$ORIGIN"))
    for binary, rpath in users:
        subprocess.run(["patchelf", "--set-rpath", rpath, str(binary)], check=True)
    return sorted(missing)


def main() -> None:
    """Move the Python that runs this."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix", type=Path, help="where the copy goes, for example /opt/python/3.11")
    parser.add_argument("--base", type=Path, required=True, help="root file system that it will run on")
    arguments = parser.parse_args()
    library = copy_interpreter(arguments.prefix)
    restore_upstream_layout(arguments.prefix, library)
    bundled = bundle_libraries(arguments.prefix, library, arguments.base)
    sys.stderr.write(f"{arguments.prefix}: bundled libraries: {', '.join(bundled) or 'none'}\n")


if __name__ == "__main__":
    main()
