"""A world outside that the tests make: a container with a name server and a listener, on the hosts' network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubelab_helpers.cluster.nodes import CLUSTER_LABEL

PROGRAM = (Path(__file__).resolve().parent / "programs" / "outside.py").read_text()
NAME, PORT = "registry.outside.test", 8443
"""RFC 6761: nobody else has a name under test."""


@dataclass(frozen=True)
class Outside:
    """The container; its address is both the name server and what the name leads to."""

    container: str
    address: str

    def listen(self) -> None:
        """Begin to take connections."""
        script = 'echo $$ > /run/listener; exec python3 -c "$0" connections "$1"'
        _docker("exec", "--detach", self.container, "sh", "-c", script, PROGRAM, str(PORT))

    def stop_listening(self) -> None:
        """Take none any more; names are answered as before."""
        _docker("exec", self.container, "sh", "-c", 'kill "$(cat /run/listener)"')


@contextmanager
def outside_world(group: str, address: str, image: str) -> Iterator[Outside]:
    """Make it on a network that is there, of an image with Python; it goes with the group's hosts, or here."""
    made = Outside(f"{group}-outside", address)
    limits = ("--network", group, "--ip", address, "--label", f"{CLUSTER_LABEL}={group}", "--entrypoint", "python3")
    _docker("run", "--detach", "--name", made.container, *limits, image, "-c", PROGRAM, "names", NAME)
    try:
        yield made
    finally:
        _docker("rm", "--force", "--volumes", made.container)


def _docker(*arguments: str) -> None:
    subprocess.run(("docker", *arguments), check=True, capture_output=True, timeout=120)
