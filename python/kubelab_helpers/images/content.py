"""What a registry holds: listed, taken out, and its disk given back.

https://distribution.github.io/distribution/spec/api/
https://distribution.github.io/distribution/about/garbage-collection/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kubelab_helpers.errors import InvalidInputError, KubelabError
from kubelab_helpers.images.access import RegistryAccess, RegistryClient

if TYPE_CHECKING:
    import requests

PAGE = 100
# An image's or an index's manifest, in either family of media types.
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True)
class StoredImage:
    """One tag. `size_bytes`: its blobs as they are stored, packed; blobs that images share count for each."""

    repository: str
    tag: str
    digest: str
    size_bytes: int

    @property
    def name(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"


class RegistryContent:
    """What this machine's registry has, for the time of a `with` block."""

    def __init__(self, access: RegistryAccess) -> None:
        self._client = RegistryClient(access)

    def __enter__(self) -> Self:
        """Begin; an error says why it cannot be asked."""
        self._client.__enter__()
        self._ask("GET", "/v2/")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the connection go."""
        self._client.__exit__(kind, error, trace)

    def list_images(self) -> list[StoredImage]:
        """Return every tag of every repository, in the order of their names."""
        return [image for repository in self._pages("/v2/_catalog", "repositories") for image in self._tags(repository)]

    def find(self, name: str) -> StoredImage:
        """Return the image of a name like `kubelab/hub:0.1.0`; InvalidInputError names the nearest."""
        from kubelab_helpers.document import suggest

        images = {image.name: image for image in self.list_images()}
        if name not in images:
            raise InvalidInputError(
                f"the registry has no image {name}{suggest(name, list(images))}",
                next_step="`kubelab registry list` shows what it has",
            )
        return images[name]

    def delete(self, image: StoredImage) -> list[str]:
        """Take an image out and return the names that went with it: every tag of its manifest.

        Its blobs stay on the disk until garbage is collected.
        """
        gone = [each.name for each in self._tags(image.repository) if each.digest == image.digest]
        self._ask("DELETE", f"/v2/{image.repository}/manifests/{image.digest}")
        return gone

    def _tags(self, repository: str) -> Iterator[StoredImage]:
        for tag in sorted(self._pages(f"/v2/{repository}/tags/list", "tags")):
            answer = self._ask("GET", f"/v2/{repository}/manifests/{tag}", missing_ok=True)
            if answer is None:  # taken out while it was listed
                continue
            digest = str(answer.headers["Docker-Content-Digest"])
            yield StoredImage(repository, tag, digest, self._size(repository, answer.json()))

    def _size(self, repository: str, manifest: dict[str, Any]) -> int:
        blobs = [*manifest.get("layers", ()), *([manifest["config"]] if "config" in manifest else [])]
        total = sum(int(blob["size"]) for blob in blobs)
        for each in manifest.get("manifests", ()):  # an index: one image for each platform
            answer = self._ask("GET", f"/v2/{repository}/manifests/{each['digest']}", missing_ok=True)
            total += self._size(repository, answer.json()) if answer is not None else 0
        return total

    def _pages(self, path: str, key: str) -> Iterator[str]:
        query: str | None = f"{path}?n={PAGE}"
        while query:
            answer = self._ask("GET", query, missing_ok=True)  # of a repository without a tag there is no list
            if answer is None:
                return
            yield from answer.json().get(key) or ()
            query = answer.links.get("next", {}).get("url")

    def _ask(self, method: str, path: str, *, missing_ok: bool = False) -> requests.Response | None:
        import requests

        answer = self._client.ask(method, path, ", ".join(MANIFESTS))
        if answer.status_code == requests.codes.not_found and missing_ok:
            return None
        if not answer.ok:
            raise KubelabError(
                f"the registry answered {method} {path} with {answer.status_code}: {answer.text.strip()[:300]}",
                repeat=self._client.access.curl(path, "--request", method),
            )
        return answer
