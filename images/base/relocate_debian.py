"""Copy a Debian suite's Python to a prefix of its own, so that it runs on another Debian release.

Debian patches CPython to install under ``/usr/local`` and to read ``dist-packages``; the copy gets upstream's
layout back (``PREFIX/lib/pythonX.Y/site-packages``). Shared libraries that the target does not have, or has under
another soname, travel along in ``PREFIX/lib/bundled``. Needs ``ldd`` and ``patchelf``; run it with the Python to move.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from relocation import bundle_libraries, replace_in

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STDLIB = Path(f"/usr/lib/python{VERSION}")
WHEELS = Path("/usr/share/python-wheels")
DEBIAN_ONLY = (
    "EXTERNALLY-MANAGED",
    "sitecustomize.py",
    "_distutils_system_mod.py",
    "test",
    "__pycache__",
    "dist-packages",
)


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


def main() -> None:
    """Move the Python that runs this."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix", type=Path, help="where the copy goes, for example /opt/python/3.11")
    parser.add_argument("--base", type=Path, required=True, help="root file system that it will run on")
    arguments = parser.parse_args()
    library = copy_interpreter(arguments.prefix)
    restore_upstream_layout(arguments.prefix, library)
    binaries = [arguments.prefix / "bin" / f"python{VERSION}", *sorted((library / "lib-dynload").glob("*.so"))]
    bundled = bundle_libraries(arguments.prefix, binaries, arguments.base)
    sys.stderr.write(f"{arguments.prefix}: bundled libraries: {', '.join(bundled) or 'none'}\n")


if __name__ == "__main__":
    main()
