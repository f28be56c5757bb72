"""A lab's images in a registry of the user's choice, and the chart's values for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.document import write_whole
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.images.presence import require_image
from kubelab_helpers.images.publication import Candidate, PublishedImage, publish, require_target
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.lab.images import (
    chart_images,
    digests_of,
    keep_digests,
    notebook_family,
    provisioner_candidate,
    pythons_of,
)
from kubelab_helpers.release.deploy import PROVISIONER_NAME, image_values
from kubelab_helpers.release.values import validate_values


def push_built(
    lab: Lab, names: Sequence[str] | None = None, *, to: str = IMAGE_PREFIX, force: bool = False
) -> list[PublishedImage]:
    """Push built images (all that the chart starts, by default) to `to`, and keep their digests for `values_of_pushed`.

    `names`: as for a build, or `provisioner`. Everything is looked at before anything is sent: BlockedError for an
    image that is not built, with the command that builds it, and for a tag with other content (see `publish`).
    """
    require_target(to)
    named = names if names is not None else [*chart_images(lab), PROVISIONER_NAME]
    chosen = load_catalog().named([each for each in named if each != PROVISIONER_NAME], pythons_of(lab))
    wanted = [Candidate(each.name, each.reference(to), require_image(lab.engine, each)) for each in chosen]
    if PROVISIONER_NAME in named:
        wanted.append(provisioner_candidate(lab, to))
    words = ["kubelab image push", *(names or ()), *([f"--to {to}"] if to != IMAGE_PREFIX else [])]
    pushed = publish(
        lab.engine,
        wanted,
        access=lab.registry_access,
        reporter=lab.reporter,
        force=force,
        repeat=" ".join([*words, *(["--force"] if force else [])]),
    )
    _keep(lab, to, {each.name: each.digest for each in pushed})
    return pushed


def values_of_pushed(lab: Lab, prefix: str = IMAGE_PREFIX) -> dict[str, Any]:
    """Return the chart's values for what was pushed to `prefix` last, valid by the chart's schema.

    BlockedError names the images of the lab that were not.
    """
    require_target(prefix)
    digests, pythons = _kept(lab, prefix), pythons_of(lab)
    wanted = [each.name for each in load_catalog().named(chart_images(lab), pythons)]
    lacking = [name for name in (*wanted, PROVISIONER_NAME) if name not in digests]
    if lacking:
        option = f" --to {prefix}" if prefix != IMAGE_PREFIX else ""
        raise BlockedError(
            f"not pushed to {prefix} from here: {', '.join(lacking)}", next_step=f"kubelab image push{option}"
        )
    asked = {name: digests[name] for name in (*wanted, PROVISIONER_NAME)}
    values = image_values(load_catalog(), pythons, asked, prefix, family=notebook_family(lab))
    validate_values(values)
    return values


def _keep(lab: Lab, prefix: str, pushed: dict[str, str]) -> None:
    digests = _kept(lab, prefix) | pushed
    if prefix == IMAGE_PREFIX:
        keep_digests(lab, digests)
        return
    lab.folder.mkdir(parents=True, exist_ok=True)
    write_whole(lab.published_file, json.dumps(_published(lab) | {prefix: digests}, indent=1, sort_keys=True))


def _kept(lab: Lab, prefix: str) -> dict[str, str]:
    if prefix != IMAGE_PREFIX:
        return _published(lab).get(prefix, {})
    return digests_of(lab) if lab.digests_file.exists() else {}


def _published(lab: Lab) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(lab.published_file.read_text()) if lab.published_file.exists() else {}
    return found
