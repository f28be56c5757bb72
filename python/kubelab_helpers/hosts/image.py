"""Container images in a host's containerd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubelab_helpers.hosts.change import Change
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.removal import removal_command
from kubelab_helpers.hosts.state import HostState

PULL_TIMEOUT_SECONDS = 900.0


@dataclass(frozen=True)
class _Stored(Change):
    """A container image in containerd's k8s.io namespace, by its name there and its manifest's digest."""

    reference: str
    digest: str

    @property
    def watched(self) -> tuple[str, ...]:
        return ("images:",)

    def satisfied_by(self, state: HostState) -> bool:
        return state.images.get(self.reference) == self.digest

    def undo(self, state: HostState) -> tuple[Command, ...]:
        if self.reference in state.images:
            return ()
        return (removal_command("image", self.reference),)


@dataclass(frozen=True)
class Image(_Stored):
    """An image from an archive, pinned so that kubelet's garbage collection keeps it."""

    archive: Path

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def summary(self) -> str:
        return f"import image {self.reference}"

    def operations(self) -> tuple[Command, ...]:
        ctr = ("ctr", "--namespace", "k8s.io", "images")
        return (
            Command((*ctr, "import", "-"), stdin_path=self.archive),
            Command((*ctr, "label", self.reference, "io.cri-containerd.pinned=pinned")),
        )


@dataclass(frozen=True)
class PulledImage(_Stored):
    """An image that containerd has pulled as its certs.d says, under the name by which kubelet asks for it.

    Not pinned: kubelet may collect it when the disk is full, and then it is pulled anew. `title`: repository and tag,
    for people.
    """

    title: str

    @property
    def id(self) -> str:
        return f"pulled-image:{self.reference}"

    @property
    def summary(self) -> str:
        return f"pull {self.title}"

    def operations(self) -> tuple[Command, ...]:
        pull = ("ctr", "--namespace=k8s.io", "images", "pull", "--hosts-dir=/etc/containerd/certs.d", self.reference)
        return (Command(pull, timeout_seconds=PULL_TIMEOUT_SECONDS),)
