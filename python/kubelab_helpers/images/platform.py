"""Images for machines of another architecture than this one: what that takes, and whether it is here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab_helpers.artifacts.catalog import ARCHITECTURES, architecture
from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.images.base import base_reference, has_image

if TYPE_CHECKING:
    from docker import DockerClient

    from kubelab_helpers.images.catalog import Image

PLATFORMS = {f"linux/{each}": each for each in ARCHITECTURES.values()}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
EMULATORS = {"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}


def parse_platform(platform: str | None) -> str:
    """Return the architecture of a platform such as `linux/arm64`, this machine's for None; InvalidInputError else."""
    if platform is None:
        return architecture()
    if platform not in PLATFORMS:
        raise InvalidInputError(
            f"kubelab builds no images for the platform {platform}", next_step=f"choose among {', '.join(PLATFORMS)}"
        )
    return PLATFORMS[platform]


def require_platform(engine: DockerClient, store: Store, images: Sequence[Image]) -> None:
    """Raise the BlockedError that names all that is missing to build the images for the architecture of `store`."""
    wanted = store.catalog.architecture
    if wanted == architecture():
        return
    missing, steps = [], []
    if not can_run(engine, wanted):
        missing.append(f"this machine cannot run programs of {wanted}: no emulator {EMULATORS[wanted]} is registered")
        steps.append(
            "install QEMU's user emulation (Debian: qemu-user-static and binfmt-support), or build on a machine of "
            f"{wanted}"
        )
    names = list(dict.fromkeys(name for image in images for name in image.bases))
    lacking = [name for name in names if not has_image(engine, base_reference(name, store.catalog.key(name)))]
    if unobtainable := store.unobtainable(lacking):
        missing.append(f"no source in reach has these root file systems for {wanted}: {', '.join(unobtainable)}")
        steps.append("build where images can be pulled, or only the Pythons of Debian's suites")
    if missing:
        raise BlockedError("; ".join(missing), next_step="; ".join(steps))


def can_run(engine: DockerClient, wanted: str) -> bool:
    """Return whether the engine runs programs of an architecture: its own, or one that its kernel emulates."""
    found = engine.version()
    # The engine of a virtual machine (Docker Desktop) brings emulators, and nobody outside can see them.
    if found["Arch"] == wanted or found["KernelVersion"] != os.uname().release:
        return True
    entry = BINFMT / EMULATORS[wanted]
    lines = entry.read_text().splitlines() if entry.is_file() else []
    # Only with the flag F does the kernel hold the emulator open, so that it is there in a container too:
    # https://docs.kernel.org/admin-guide/binfmt-misc.html
    flags = next((line.removeprefix("flags:").strip() for line in lines if line.startswith("flags:")), "")
    return "enabled" in lines and "F" in flags
