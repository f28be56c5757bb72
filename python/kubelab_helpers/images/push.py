"""Putting images into a registry: only what it lacks, and with the digest that it then has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.images.access import OWN_HOST, RegistryAccess, is_refusal
from kubelab_helpers.images.base import has_image
from kubelab_helpers.result import Outcome, Reporter, SilentReporter

if TYPE_CHECKING:
    from docker import DockerClient

OWN = RegistryAccess()


@dataclass(frozen=True)
class PushedImage:
    """An image in a registry; `changed` if this call put it there. `digest` is its manifest's (`sha256:...`)."""

    reference: str
    digest: str
    changed: bool


def push(
    engine: DockerClient,
    reference: str,
    image_id: str | None = None,
    *,
    access: RegistryAccess = OWN,
    reporter: Reporter | None = None,
) -> PushedImage:
    """Push an image of the engine (`image_id`, else what `reference` names there) to the registry as `reference`.

    Nothing is sent if the registry already has exactly this image. Layers that a broken push left there are not sent
    again. A name that the engine did not have before is taken away. `access` says how this machine's registry is asked;
    to any other one the engine's own credentials apply. KubelabError if the registry refuses, BlockedError without such
    an image.
    """
    reporter = reporter or SilentReporter()
    task = f"push {reference.rsplit('/', 1)[-1]}"
    reporter.start(task)
    sent_as = access.name_on_machine(reference)
    digests = _pushed_digests(engine, image_id or reference, sent_as)
    known = image_digest(engine, reference, access=access)
    if known in digests:
        reporter.finish(task, Outcome.UNCHANGED, str(known))
        return PushedImage(reference, str(known), False)
    repository, tag = sent_as.rsplit(":", 1)
    is_passing = sent_as != reference or not has_image(engine, reference)
    engine.images.get(image_id or reference).tag(repository, tag)
    try:
        login = _login(reference, access)
        events = engine.api.push(repository, tag=tag, stream=True, decode=True, auth_config=login)
        digest = _follow(events, reference, task, reporter, access)
    finally:
        if is_passing:
            engine.images.remove(sent_as)
    # The engine forgets under which digest it pushed an image when that name goes; the registry knows.
    changed = digest != known
    reporter.finish(task, Outcome.CHANGED if changed else Outcome.UNCHANGED, digest)
    return PushedImage(reference, digest, changed)


def image_digest(engine: DockerClient, reference: str, *, access: RegistryAccess = OWN) -> str | None:
    """Return the digest of the manifest that the registry has under this name; None if it has none."""
    from docker.errors import APIError, NotFound

    name, login = access.name_on_machine(reference), _login(reference, access)
    try:
        return str(engine.images.get_registry_data(name, auth_config=login).id)
    except NotFound:
        return None
    except APIError as error:
        # The engine's status differs by its version where the registry itself says that there is no such manifest.
        if "manifest unknown" in str(error) or "name unknown" in str(error):
            return None
        if _is_own(reference) and is_refusal(str(error)):
            raise access.refusal() from error
        raise KubelabError(
            f"the registry of {reference} did not answer the engine: {error.explanation}",
            next_step="see that the registry runs and that the engine is logged in to it",
        ) from error


def _is_own(reference: str) -> bool:
    return reference.startswith(f"{OWN_HOST}/")


def _login(reference: str, access: RegistryAccess) -> dict[str, str] | None:
    """Return the account for a reference: another registry must never see this one's."""
    return access.engine_login if _is_own(reference) else None


def _pushed_digests(engine: DockerClient, image: str, sent_as: str) -> set[str]:
    """Return the digests under which this very image is known to have gone to (or come from) the registry."""
    from docker.errors import ImageNotFound

    try:
        known = engine.images.get(image).attrs.get("RepoDigests") or []
    except ImageNotFound as error:
        raise BlockedError(f"there is no image {image} to push", next_step="build it first") from error
    repository = sent_as.rsplit(":", 1)[0]
    return {each.split("@", 1)[1] for each in known if each.startswith(f"{repository}@")}


def _follow(
    events: Iterable[dict[str, Any]], reference: str, task: str, reporter: Reporter, access: RegistryAccess
) -> str:
    """Report the push's progress in bytes, and return the digest that ends it; KubelabError if it failed."""
    sent: dict[str, int] = {}
    digest = ""
    for event in events:
        if "error" in event:
            reporter.finish(task, Outcome.FAILED, str(event["error"]))
            if _is_own(reference) and is_refusal(str(event["error"])):
                raise access.refusal()
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
