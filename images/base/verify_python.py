"""Prove, in the image it will run in, that the moved Python is whole: ``verify_python.py X.Y KIND``."""

from __future__ import annotations

import importlib
import site
import ssl
import sys
import sysconfig
from pathlib import Path

# Each of these loads a shared library of its own (or fails to).
EXTENSIONS = (
    "ssl", "sqlite3", "ctypes", "lzma", "bz2", "readline", "zlib", "hashlib", "curses", "uuid", "decimal",
    "_uuid", "_decimal", "pyexpat", "venv", "ensurepip",
)  # fmt: skip
# Who builds a Python without Berkeley DB's headers has none; Debian has them in a package of their own since 3.15.
OF_A_SUITE = ("_dbm", "dbm.ndbm") if sys.version_info < (3, 15) else ()
PACKAGES = (
    "numpy", "scipy.linalg", "scipy.optimize", "scipy.sparse", "scipy.stats", "pandas", "matplotlib.pyplot", "pip",
    "pytest", "black", "flake8", "mypy.build", "psycopg", "pymysql",
)  # fmt: skip


def main() -> None:
    """Exit with both sides of the first difference, or with the import that fails."""
    version = sys.argv[1]
    prefix = f"/opt/python/{version}"
    packages = f"{prefix}/lib/python{version}/site-packages"
    expected = {
        "version": version,
        "prefix": prefix,
        "purelib": packages,
        "scripts": f"{prefix}/bin",
        "site": [packages],
        "ssl": "/etc/ssl/certs/ca-certificates.crt",
    }
    actual = {
        "version": "{}.{}".format(*sys.version_info),
        "prefix": sys.prefix,
        "purelib": sysconfig.get_path("purelib"),
        "scripts": sysconfig.get_path("scripts"),
        "site": site.getsitepackages(),
        "ssl": str(Path(ssl.get_default_verify_paths().openssl_cafile).resolve()),
    }
    if expected != actual:
        sys.exit(f"the moved Python is not itself:\n  expected {expected}\n  actual   {actual}")
    for name in (*EXTENSIONS, *(OF_A_SUITE if sys.argv[2] == "suite" else ()), *PACKAGES):
        importlib.import_module(name)


if __name__ == "__main__":
    main()
