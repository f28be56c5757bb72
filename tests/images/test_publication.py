"""Images pushed to a registry that is not the lab's: a real one, in a container of its own."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.images.access import PORT, RegistryAccess
from kubelab_helpers.images.archive import load_archive
from kubelab_helpers.images.publication import Candidate, PublishedImage, publish
from kubelab_helpers.images.registry import ARTIFACT, wait_until_answering
from kubelab_helpers.images.registry_files import CONFIG_PATH, USER_ID, initial_files
from kubelab_helpers.result import SilentReporter

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

pytestmark = pytest.mark.timeout(300)
TITLE = "org.opencontainers.image.title"


@pytest.fixture(scope="module")
def registry(client: docker.DockerClient) -> Iterator[Container]:
    """Another registry than the lab's, on a free port of this machine, without a volume."""
    store = Store()
    archive = store.fetch([ARTIFACT], SilentReporter())[ARTIFACT]
    image = load_archive(client, archive, f"localhost/kubelab/registry:{store.catalog.key(ARTIFACT)}")
    name = f"kubelab-tests-registry-{uuid.uuid4().hex[:8]}"
    container = client.containers.create(
        image,
        ["serve", CONFIG_PATH],
        name=name,
        user=f"{USER_ID}:{USER_ID}",
        environment={"OTEL_TRACES_EXPORTER": "none"},
        ports={f"{PORT}/tcp": ("127.0.0.1", 0)},  # 0: a free one
    )
    try:
        container.put_archive("/", initial_files())
        container.start()
        container.reload()
        wait_until_answering(container, RegistryAccess(port_of(container)))
        yield container
    finally:
        container.remove(force=True, v=True)


def port_of(container: Container) -> int:
    container.reload()
    bindings: Any = container.ports[f"{PORT}/tcp"]
    return int(bindings[0]["HostPort"])


@pytest.fixture
def made(client: docker.DockerClient) -> Iterator[Callable[[str], Any]]:
    """Return a function that makes an image of one small file with a title, under a name that goes again."""
    names: list[str] = []

    def make(title: str) -> Any:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            entry = tarfile.TarInfo("title")
            entry.size = len(title)
            tar.addfile(entry, io.BytesIO(title.encode()))
        repository, tag = "localhost/kubelab-tests/publication", uuid.uuid4().hex[:12]
        changes = [f'LABEL {TITLE}="{title}"']
        client.api.import_image_from_data(content.getvalue(), repository=repository, tag=tag, changes=changes)
        names.append(f"{repository}:{tag}")
        return client.images.get(names[-1])

    yield make
    for name in names:
        client.images.remove(name)


def run(client: docker.DockerClient, reference: str, image: Any, **more: Any) -> PublishedImage:
    candidate = Candidate("probe", reference, image)
    again = "kubelab image push probe"
    return publish(client, [candidate], access=RegistryAccess(1), reporter=SilentReporter(), repeat=again, **more)[0]


def test_a_published_tag_changes_only_when_forced(
    client: docker.DockerClient, registry: Container, made: Callable[[str], Any]
) -> None:
    reference = f"localhost:{port_of(registry)}/team/probe:{uuid.uuid4().hex[:12]}"
    one, other = made("one"), made("other")

    first = run(client, reference, one)
    assert first.changed
    assert run(client, reference, one) == PublishedImage("probe", reference, first.digest, changed=False)

    with pytest.raises(BlockedError, match=rf"exists with other content \({first.digest}, one\)"):
        run(client, reference, other)
    assert client.images.get_registry_data(reference).id == first.digest

    forced = run(client, reference, other, force=True)
    assert forced.changed
    assert client.images.get_registry_data(reference).id == forced.digest != first.digest
    # What was only a name to push by is not left on this machine.
    assert not client.images.list(name=reference)


def test_a_registry_that_is_down_is_told(client: docker.DockerClient, made: Callable[[str], Any]) -> None:
    with pytest.raises(KubelabError, match="did not answer the engine") as raised:
        run(client, "localhost:1/team/probe:1", made("one"))
    assert raised.value.repeat == "kubelab image push probe"
    assert "see that the registry runs" in raised.value.next_step
