"""The source `debian`: root file systems made from the distribution's packages, which apt verifies."""

from __future__ import annotations

import shutil
from pathlib import Path

from kubelab_helpers.artifacts.build import install_packages
from kubelab_helpers.artifacts.catalog import Artifact
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner

# A fixed time in every entry, so that the same packages give the same bytes: https://reproducible-builds.org/specs/source-date-epoch/
SOURCE_DATE_EPOCH = "1750000000"
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/lintian/*")
KEPT = ("/usr/share/doc/*/copyright",)


def produce(artifact: Artifact, target: Path) -> None:
    """Write the root file system of a Debian suite with its packages as a tar."""
    if shutil.which("mmdebstrap") is None:
        install_packages(["mmdebstrap"])
    recipe = artifact.recipe["debian"]
    # mmdebstrap refuses what this machine cannot run, an emulator's help included.
    foreign = (f"--architectures={artifact.architecture}",) if artifact.is_foreign else ()
    argv = (
        "mmdebstrap",
        *foreign,
        "--quiet",
        "--format=tar",
        f"--variant={recipe['variant']}",
        f"--include={','.join(recipe['packages'])}",
        *(f"--aptopt={option}" for option in recipe.get("apt_options", ())),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        *(f"--dpkgopt=path-include={pattern}" for pattern in KEPT),
        recipe["suite"],
        str(target),
    )
    environment = (("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH), ("DEBIAN_FRONTEND", "noninteractive"))
    LocalRunner().check(Command(argv, env=environment, timeout_seconds=900))
