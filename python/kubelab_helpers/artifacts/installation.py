"""The source `installation`: a CPython that is on this machine (pyenv's, uv's, one in /opt or /usr/local), packed.

Only CPython itself is taken: none of the packages that somebody installed into it, and no setting of the machine's.
What it is linked against travels along, so that an image of another distribution can run it. Not taken: tkinter, which
needs a screen, and the tests.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubelab_helpers.artifacts.catalog import Artifact
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner

PREFIX, LIBRARIES, ORIGIN = "prefix", "lib", "origin.json"
"""Where images/base/relocate_installation.py looks in the packed root file system."""
LEFT_OUT = {"__pycache__", "site-packages", "test", "tests", "tkinter", "idlelib", "turtledemo", "idle_test"}
SCREEN = re.compile(r"_tkinter\..*\.so")
# The C library belongs to the loader of the image that runs it.
GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|util|pthread|resolv|anl|nss_.*)\.so\.\d+)")
TELL = (
    "import json,platform,sys,sysconfig;"
    "print(json.dumps([platform.python_version(),sys.version,sys.base_prefix,sysconfig.get_config_var('LDVERSION')]))"
)
MADE_AT = 1_750_000_000
"""The time of every entry, so that the same installation gives the same bytes."""


def find_installations(version: str) -> list[Path]:
    """Return the programs of CPython `version` (like 3.8) on this machine, the newest patch release first.

    A distribution's own in /usr is not among them: its standard library is changed, and spread over packages.
    """
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    patterns = (
        (pyenv / "versions", f"{version}.*/bin/python{version}"),
        (home / ".local/share/uv/python", f"cpython-{version}.*/bin/python{version}"),
        (Path("/opt/python"), f"{version}*/bin/python{version}"),
        (Path("/usr/local/bin"), f"python{version}"),
    )
    found = [program for folder, pattern in patterns if folder.is_dir() for program in folder.glob(pattern)]
    return sorted(found, key=_patch_release, reverse=True)


def produce(artifact: Artifact, target: Path) -> None:
    """Pack the newest installation of the artifact's version as a tar; BlockedError says where it was looked for."""
    version = artifact.version
    programs = find_installations(version)
    if not programs:
        raise BlockedError(
            f"this machine has no CPython {version} that an image can be given",
            next_step=f"install one (pyenv install {version}), or use --source upstream where images can be pulled; "
            "pyenv, uv, /opt/python and /usr/local were looked at",
        )
    program = programs[0]
    said = LocalRunner().check(Command((str(program), "-I", "-S", "-c", TELL), timeout_seconds=60)).text
    release, build, prefix, abi = json.loads(said)
    files = dict(_files(Path(prefix), version, program, abi))
    origin = {"python": release, "build": build, "prefix": prefix, "sha256": _digest(files)}
    with tarfile.open(target, "w") as tar:
        for name, path in files.items():
            _add(tar, name, path)
        content = json.dumps(origin, indent=1).encode()
        entry = _normal(tarfile.TarInfo(ORIGIN))
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def _files(prefix: Path, version: str, program: Path, abi: str) -> Iterator[tuple[str, Path]]:
    """Yield name in the tar and path of each file, in a fixed order."""
    yield f"{PREFIX}/bin/python{version}", program.resolve()
    library = prefix / f"lib/python{version}"
    binaries = [program.resolve()]
    for folder, names, members in os.walk(library):
        names[:] = sorted(name for name in names if name not in LEFT_OUT)
        for member in sorted(members):
            path = Path(folder, member)
            if SCREEN.fullmatch(member) or path.suffix == ".a" or not path.is_file():
                continue
            yield f"{PREFIX}/lib/python{version}/{path.relative_to(library)}", path
            if path.suffix == ".so":
                binaries.append(path)
    include = prefix / f"include/python{abi}"
    for path in sorted(each for each in include.rglob("*") if each.is_file()):
        yield f"{PREFIX}/include/python{abi}/{path.relative_to(include)}", path
    for soname, path in sorted(_libraries(binaries).items()):
        yield f"{LIBRARIES}/{soname}", path


def _libraries(binaries: Sequence[Path]) -> dict[str, Path]:
    """Return soname -> file of all that these load, as `ldd` finds it on this machine."""
    told = LocalRunner().check(Command(("ldd", *map(str, binaries)), timeout_seconds=120)).text
    if absent := re.findall(r"(\S+) => not found", told):
        raise BlockedError(
            f"this machine's CPython needs libraries that are not there: {', '.join(sorted(set(absent)))}",
            next_step="install them, or build that Python anew",
        )
    found = {soname: Path(path).resolve() for soname, path in re.findall(r"(\S+) => (/\S+)", told)}
    return {soname: path for soname, path in found.items() if not GLIBC.fullmatch(soname)}


def _digest(files: dict[str, Path]) -> str:
    """Return a SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    entry = _normal(tarfile.TarInfo(name))
    entry.size, entry.mode = path.stat().st_size, 0o755 if os.access(path, os.X_OK) else 0o644
    with path.open("rb") as content:
        tar.addfile(entry, content)


def _normal(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime, entry.mode = MADE_AT, 0o644
    return entry


def _patch_release(program: Path) -> tuple[int, ...]:
    """Return the numbers of the release as the path tells them, nothing for a path that does not."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", str(program))
    return tuple(map(int, found.groups())) if found else ()
