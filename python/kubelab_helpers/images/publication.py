"""Publishing built images: what a registry shows under a tag does not change silently."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.errors import BlockedError, InvalidInputError, KubelabError, PartlyDoneError
from kubelab_helpers.images.access import OWN_HOST, RegistryAccess
from kubelab_helpers.images.build import INPUT_LABEL
from kubelab_helpers.images.push import image_digest, push
from kubelab_helpers.images.registry import registry_state
from kubelab_helpers.images.remote import StoredConfiguration, read_configuration
from kubelab_helpers.result import Reporter

if TYPE_CHECKING:
    from docker import DockerClient

TITLE_LABEL = "org.opencontainers.image.title"
# https://github.com/distribution/reference/blob/main/reference.go, without tag and digest
TARGET = re.compile(
    r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?|[A-Za-z0-9-]+:\d+|localhost)(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
)


@dataclass(frozen=True)
class Candidate:
    """An image to publish: its name in the catalogue, the reference it is to have, and docker's own object."""

    name: str
    reference: str
    image: Any


@dataclass(frozen=True)
class PublishedImage:
    """An image in a registry by name, reference and manifest digest; `changed` if this call put it there."""

    name: str
    reference: str
    digest: str
    changed: bool


def require_target(target: str) -> None:
    """Raise InvalidInputError unless `target` is a registry's host, with or without a path below it."""
    if not TARGET.fullmatch(target):
        raise InvalidInputError(
            f"{target} names no registry",
            next_step="begin with its host and end without a slash, such as registry.example/team or docker.io/name",
        )


def publish(
    engine: DockerClient,
    candidates: Sequence[Candidate],
    *,
    access: RegistryAccess,
    reporter: Reporter,
    force: bool = False,
    repeat: str = "kubelab image push",
) -> list[PublishedImage]:
    """Push images, each under its reference, and return their digests; what a registry has already is not sent.

    BlockedError, before anything is sent, for a tag that exists with other content, unless with `force`. In the lab's
    own registry a tag moves on with every build of the same image; elsewhere others may rely on it. PartlyDoneError
    when some were pushed and the next one failed: `repeat` goes on from there.
    """
    if any(each.reference.startswith(f"{OWN_HOST}/") for each in candidates):
        _require_own_registry(engine, repeat)
    done: list[PublishedImage] = []
    try:
        for each in candidates if not force else ():
            require_replaceable(engine, each, access=access)
        for each in candidates:
            pushed = push(engine, each.reference, str(each.image.id), access=access, reporter=reporter)
            done.append(PublishedImage(each.name, pushed.reference, pushed.digest, pushed.changed))
    except KubelabError as error:
        kind = PartlyDoneError if any(each.changed for each in done) else type(error)
        raise kind(error.what, next_step=error.next_step, repeat=repeat) from error
    return done


def require_replaceable(engine: DockerClient, candidate: Candidate, *, access: RegistryAccess) -> None:
    """Raise BlockedError if the registry has other content under this name than may be replaced by this image."""
    known = image_digest(engine, candidate.reference, access=access)
    digests = {each.rpartition("@")[2] for each in candidate.image.attrs.get("RepoDigests") or ()}
    if known is None or known in digests:
        return
    stored = read_configuration(engine, candidate.reference, known, access=access)
    is_own = candidate.reference.startswith(f"{OWN_HOST}/")
    if stored.image_id == candidate.image.id or (is_own and _is_same_make(stored, candidate.image.labels)):
        return
    raise BlockedError(
        f"{candidate.reference} exists with other content ({known}, {describe(stored)})",
        next_step="give it another place with --to, or replace it with --force: who pulls by tag then gets this image",
    )


def describe(stored: StoredConfiguration) -> str:
    """Return in words what an image in a registry is."""
    if stored.image_id is None:
        return "an index of several platforms"
    title, version = stored.labels.get(TITLE_LABEL), stored.labels.get("org.opencontainers.image.version", "")
    return f"{title} {version}".strip() if title else "an image without a title"


def _is_same_make(stored: StoredConfiguration, labels: dict[str, str]) -> bool:
    """Return whether both are builds of one image of the catalogue; of a third party's part neither has labels."""
    same_title = stored.labels.get(TITLE_LABEL) == labels.get(TITLE_LABEL)
    return stored.image_id is not None and same_title and (INPUT_LABEL in stored.labels) == (INPUT_LABEL in labels)


def _require_own_registry(engine: DockerClient, repeat: str) -> None:
    state = registry_state(engine)
    if state is None or not state.is_running:
        raise BlockedError(
            f"this machine's registry ({IMAGE_PREFIX}) does not run", next_step="kubelab registry up", repeat=repeat
        )
