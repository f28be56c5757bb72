"""What a registry holds, against the real registry program on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.images.access import RegistryAccess
from kubelab_helpers.images.content import RegistryContent

from .registries import Pushing, free_port, serve


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryAccess]:
    """Return the way to a registry with no image in it."""
    with serve(tmp_path_factory.mktemp("registry") / "data", RegistryAccess(free_port())) as access:
        yield access


def push(access: RegistryAccess, repository: str, layer: bytes, *tags: str) -> str:
    return Pushing(access).push(repository, layer, *tags)


def test_every_tag_is_listed_with_digest_and_size(registry: RegistryAccess) -> None:
    digest = push(registry, "listed/hub", b"x" * 100, "1", "2")
    with RegistryContent(registry) as content:
        found = [each for each in content.list_images() if each.repository == "listed/hub"]
    assert [(each.name, each.digest, each.size_bytes) for each in found] == [
        ("listed/hub:1", digest, 102),
        ("listed/hub:2", digest, 102),
    ]


def test_more_repositories_than_a_page_has_are_listed(
    registry: RegistryAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubelab_helpers.images.content.PAGE", 2)
    for number in range(5):
        push(registry, f"paged/{number}", b"y", "1")
    with RegistryContent(registry) as content:
        names = [each.name for each in content.list_images()]
    assert [name for name in names if name.startswith("paged/")] == [f"paged/{number}:1" for number in range(5)]


def test_an_image_is_taken_out_with_every_name_it_has(registry: RegistryAccess) -> None:
    push(registry, "gone/hub", b"one", "1", "latest")
    push(registry, "gone/hub", b"two", "2")
    with RegistryContent(registry) as content:
        assert content.delete(content.find("gone/hub:1")) == ["gone/hub:1", "gone/hub:latest"]
        assert [each.name for each in content.list_images() if each.repository == "gone/hub"] == ["gone/hub:2"]


def test_a_name_that_is_not_there_gets_the_nearest(registry: RegistryAccess) -> None:
    push(registry, "near/notebook", b"z", "0.1.0-py3.13")
    with (
        RegistryContent(registry) as content,
        pytest.raises(InvalidInputError, match=r"did you mean near/notebook:0\.1\.0-py3\.13\?"),
    ):
        content.find("near/notebook:0.1.0-py3.12")


def test_no_registry_is_said_with_what_to_do() -> None:
    access = RegistryAccess(free_port())
    with pytest.raises(BlockedError, match="no registry answers") as caught, RegistryContent(access):
        pass
    assert "kubelab registry up" in caught.value.next_step
