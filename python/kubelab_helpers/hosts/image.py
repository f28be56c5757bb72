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
class Image(Change):
    """A container image in containerd's k8s.io namespace, pinned so that kubelet's garbage collection keeps it."""

    reference: str
    digest: str
    archive: Path

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def summary(self) -> str:
        return f"import image {self.reference}"

    @property
    def watched(self) -> tuple[str, ...]:
        return ("images:",)

    def satisfied_by(self, state: HostState) -> bool:
        return state.images.get(self.reference) == self.digest

    def operations(self) -> tuple[Command, ...]:
        ctr = ("ctr", "--namespace", "k8s.io", "images")
        return (
            Command((*ctr, "import", "-"), stdin_path=self.archive),
            Command((*ctr, "label", self.reference, "io.cri-containerd.pinned=pinned")),
        )

    def undo(self, state: HostState) -> tuple[Command, ...]:
        if self.reference in state.images:
            return ()
        return (removal_command("image", self.reference),)


@dataclass(frozen=True)
class PulledImage(Change):
    """A container image that containerd has pulled as its certs.d says, under the name by which kubelet asks for it.

    Not pinned: kubelet may collect it when the disk is full, and then it is pulled anew.
    """

    title: str
    """Repository and tag, for people."""
    reference: str
    digest: str

    @property
    def id(self) -> str:
        return f"pulled-image:{self.reference}"

    @property
    def summary(self) -> str:
        return f"pull {self.title}"

    @property
    def watched(self) -> tuple[str, ...]:
        return ("images:",)

    def satisfied_by(self, state: HostState) -> bool:
        return state.images.get(self.reference) == self.digest

    def operations(self) -> tuple[Command, ...]:
        pull = ("ctr", "--namespace=k8s.io", "images", "pull", "--hosts-dir=/etc/containerd/certs.d", self.reference)
        return (Command(pull, timeout_seconds=PULL_TIMEOUT_SECONDS),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        if self.reference in state.images:
            return ()
        return (removal_command("image", self.reference),)
