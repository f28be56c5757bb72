"""Putting images into a registry: only what it lacks, and with the digest that it then has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.images.base import has_image
from kubelab_helpers.result import Outcome, Reporter, SilentReporter

if TYPE_CHECKING:
    from docker import DockerClient

PORT = 5000
OWN_HOST = f"localhost:{PORT}"
"""What every reference names; this machine may reach the same registry by another port."""


@dataclass(frozen=True)
class PushedImage:
    """An image in a registry; `changed` if this call put it there. `digest` is its manifest's (`sha256:...`)."""

    reference: str
    digest: str
    changed: bool


def load_archive(engine: DockerClient, archive: Path, reference: str) -> str:
    """Load an image archive into the engine as `reference` and return the image's id."""
    with archive.open("rb") as stream:
        loaded = engine.images.load(stream)
    if not loaded:
        raise KubelabError(f"{archive} holds no image", repeat=f"docker load --input {archive}")
    loaded[0].tag(*reference.rsplit(":", 1))
    return str(loaded[0].id)


def push(
    engine: DockerClient,
    reference: str,
    image_id: str | None = None,
    *,
    machine_port: int = PORT,
    reporter: Reporter | None = None,
) -> PushedImage:
    """Push an image of the engine (`image_id`, else what `reference` names there) to the registry as `reference`.

    Nothing is sent if the registry already has exactly this image. Layers that a broken push left there are not sent
    again. A name that the engine did not have before is taken away. The engine's own credentials apply. KubelabError if
    the registry refuses, BlockedError without such an image.
    """
    reporter = reporter or SilentReporter()
    task = f"push {reference.rsplit('/', 1)[-1]}"
    reporter.start(task)
    sent_as = _name_on_machine(reference, machine_port)
    digests = _pushed_digests(engine, image_id or reference, sent_as)
    known = image_digest(engine, reference, machine_port=machine_port)
    if known in digests:
        reporter.finish(task, Outcome.UNCHANGED, str(known))
        return PushedImage(reference, str(known), False)
    repository, tag = sent_as.rsplit(":", 1)
    is_passing = sent_as != reference or not has_image(engine, reference)
    engine.images.get(image_id or reference).tag(repository, tag)
    try:
        digest = _follow(engine.api.push(repository, tag=tag, stream=True, decode=True), reference, task, reporter)
    finally:
        if is_passing:
            engine.images.remove(sent_as)
    # The engine forgets under which digest it pushed an image when that name goes; the registry knows.
    changed = digest != known
    reporter.finish(task, Outcome.CHANGED if changed else Outcome.UNCHANGED, digest)
    return PushedImage(reference, digest, changed)


def image_digest(engine: DockerClient, reference: str, *, machine_port: int = PORT) -> str | None:
    """Return the digest of the manifest that the registry has under this name; None if it has none."""
    from docker.errors import APIError, NotFound

    try:
        return str(engine.images.get_registry_data(_name_on_machine(reference, machine_port)).id)
    except NotFound:
        return None
    except APIError as error:
        # The engine's status differs by its version where the registry itself says that there is no such manifest.
        if "manifest unknown" in str(error) or "name unknown" in str(error):
            return None
        raise KubelabError(
            f"the registry of {reference} did not answer the engine: {error.explanation}",
            next_step="see that the registry runs and that the engine is logged in to it",
        ) from error


def _name_on_machine(reference: str, machine_port: int) -> str:
    host, _, rest = reference.partition("/")
    return f"localhost:{machine_port}/{rest}" if host == OWN_HOST else reference


def _pushed_digests(engine: DockerClient, image: str, sent_as: str) -> set[str]:
    """Return the digests under which this very image is known to have gone to (or come from) the registry."""
    from docker.errors import ImageNotFound

    try:
        known = engine.images.get(image).attrs.get("RepoDigests") or []
    except ImageNotFound as error:
        raise BlockedError(f"there is no image {image} to push", next_step="build it first") from error
    repository = sent_as.rsplit(":", 1)[0]
    return {each.split("@", 1)[1] for each in known if each.startswith(f"{repository}@")}


def _follow(events: Iterable[dict[str, Any]], reference: str, task: str, reporter: Reporter) -> str:
    """Report the push's progress in bytes, and return the digest that ends it; KubelabError if it failed."""
    sent: dict[str, int] = {}
    digest = ""
    for event in events:
        if "error" in event:
            reporter.finish(task, Outcome.FAILED, str(event["error"]))
            raise KubelabError(
                f"{reference} was not pushed: {event['error']}",
                next_step="see that the registry runs and has space; the same command goes on from there",
                repeat=f"docker push {reference}",
            )
        if current := event.get("progressDetail", {}).get("current"):
            sent[event["id"]] = int(current)
            reporter.advance(task, sum(sent.values()), str(event.get("status", "")))
        digest = (event.get("aux") or {}).get("Digest", digest)
    if not digest:
        raise KubelabError(f"the push of {reference} ended without a digest", repeat=f"docker push {reference}")
    return digest
