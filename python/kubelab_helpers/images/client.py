"""The Docker command line that builds: Docker's API has no BuildKit secrets, and not every client can build."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner

if TYPE_CHECKING:
    from kubelab_helpers.hosts.runner import Runner

# From 23.0 on `docker build` is the buildx plugin's: https://docs.docker.com/engine/release-notes/23.0/#2300
FIRST_WITHOUT_BUILDER = 23
USUAL_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin")
# These build arguments are known to every build, stay out of the image, and take their values from the environment.
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class BuildClient:
    """A docker program that can build with BuildKit."""

    program: str
    has_buildx: bool

    def command(
        self,
        folder: Path,
        reference: str,
        *,
        arguments: dict[str, str],
        labels: dict[str, str],
        secrets: dict[str, Path],
        timeout_seconds: float,
        no_cache: bool = False,
        platform: str | None = None,
    ) -> Command:
        """Return the command that builds `folder` as `reference`; its image is named only once it is whole."""
        # An attestation would make the result an index, with an identity that changes with every build.
        argv = [self.program, "build", "--progress=plain", *(["--provenance=false"] if self.has_buildx else [])]
        argv += ["--no-cache"] if no_cache else []
        argv += [f"--platform={platform}"] if platform else []
        argv += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        argv += [f"--build-arg={name}" for name in PROXY_VARIABLES if os.environ.get(name)]
        argv += [f"--label={name}={value}" for name, value in labels.items()]
        argv += [f"--secret=id={name},src={path}" for name, path in secrets.items()]
        argv += [f"--tag={reference}", str(folder)]
        return Command(tuple(argv), env=(("DOCKER_BUILDKIT", "1"),), timeout_seconds=timeout_seconds)


def find_build_client(runner: Runner | None = None) -> BuildClient:
    """Return the first docker program of this machine that can build; BlockedError says what to install."""
    runner = runner or LocalRunner()
    for program in _programs():
        if runner.run(Command((program, "buildx", "version"), timeout_seconds=30)).status == 0:
            return BuildClient(program, has_buildx=True)
        asked = Command((program, "version", "--format", "{{.Client.Version}}"), timeout_seconds=30)
        major = runner.run(asked).text.strip().split(".")[0]
        if major.isdigit() and int(major) < FIRST_WITHOUT_BUILDER:
            return BuildClient(program, has_buildx=False)
    raise BlockedError(
        "no docker program of this machine can build images with BuildKit",
        next_step="install Docker's buildx plugin (package docker-buildx-plugin, docker-buildx or docker-cli-buildx)",
    )


def _programs() -> Iterator[str]:
    seen = set()
    for folder in dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *USUAL_FOLDERS]):
        found = shutil.which("docker", path=folder) if folder else None
        if found and (real := Path(found).resolve()) not in seen:
            seen.add(real)
            yield found
