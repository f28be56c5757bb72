"""The registry on hosts elsewhere: who may write, and when an image is there."""

from __future__ import annotations

from pathlib import Path

import yaml

from kubelab_helpers.cluster.registry import StoredImage, desire_registry
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import LocalProgram
from kubelab_helpers.hosts.state import FileState, HostState

PROGRAM = LocalProgram(Path("registry"), "a" * 64)
IMAGE = StoredImage("localhost:5000/kubelab/hub:1", "sha256:" + "b" * 64, Path("hub.tar"))
LINK = (
    f"/var/lib/kubelab-registry/docker/registry/v2/repositories/kubelab/hub/_manifests/revisions/sha256/{'b' * 64}/link"
)


def files(address: str = "10.1.2.3") -> dict[str, str]:
    return {each.path: each.content.decode() for each in desire_registry(PROGRAM, address) if isinstance(each, File)}


def test_the_network_may_only_read() -> None:
    served = yaml.safe_load(files()["/etc/kubelab/registry/kubelab-registry.yml"])
    written = yaml.safe_load(files()["/etc/kubelab/registry/kubelab-registry-write.yml"])
    assert (served["http"]["addr"], written["http"]["addr"]) == ("10.1.2.3:5000", "127.0.0.1:5001")
    assert served["storage"].pop("maintenance") == {"readonly": {"enabled": True}}
    assert served["storage"] == written["storage"]


def test_a_unit_is_started_once_it_listens() -> None:
    """As /proc/net/tcp has it: 10.1.2.3:5000."""
    assert ": 0302010A:1388 00000000:0000 0A" in files()["/etc/systemd/system/kubelab-registry.service"]
    assert ": 0100007F:1389 00000000:0000 0A" in files()["/etc/systemd/system/kubelab-registry-write.service"]


def test_another_address_or_program_starts_it_again() -> None:
    def stamps(program: LocalProgram, address: str) -> list[str]:
        return [each.stamp for each in desire_registry(program, address) if isinstance(each, Unit)]

    first = stamps(PROGRAM, "10.1.2.3")
    assert [one == other for one, other in zip(first, stamps(PROGRAM, "10.1.2.4"), strict=True)] == [True, False]
    assert not set(first) & set(stamps(LocalProgram(Path("registry"), "c" * 64), "10.1.2.3"))


def test_an_image_is_there_when_its_manifest_is() -> None:
    there = HostState(files={LINK: FileState("x", "644", "0:0")})
    assert IMAGE.watched == (f"file:{LINK}",)
    assert IMAGE.satisfied_by(there)
    assert not IMAGE.satisfied_by(HostState())


def test_an_image_is_written_over_loopback_under_its_own_name() -> None:
    imported, pushed, removed = IMAGE.operations()
    assert imported.stdin_path == Path("hub.tar")
    assert pushed.argv[-2:] == ("localhost:5001/kubelab/hub:1", "localhost:5000/kubelab/hub:1")
    assert removed.argv[-1] == "localhost:5000/kubelab/hub:1"
