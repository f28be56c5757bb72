"""Why builds failed, and what to do about it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kubelab_helpers.errors import KubelabError

if TYPE_CHECKING:
    from docker import DockerClient

NO_SPACE = re.compile(r".*(?:no space left on device|disk quota exceeded).*", re.IGNORECASE)
SHOWN_LINES = 30


def explain_failure(name: str, output: str, engine: DockerClient, repeat: str) -> KubelabError:
    """Return the error of one build that failed, by what it wrote and by how the engine is now."""
    if (silence := _ask(engine)) is not None:
        return engine_gone_error(name, silence, repeat)
    if full := NO_SPACE.search(output):
        return KubelabError(
            f"the image {name} was not built: no space is left\n{full[0].strip()}",
            next_step=f"{_describe_space(engine)}; `kubelab image prune` gives back what no image of the lab needs, "
            "`docker builder prune` what builds keep for later ones",
            repeat=repeat,
        )
    tail = "\n".join(output.strip().splitlines()[-SHOWN_LINES:])
    return KubelabError(f"the image {name} was not built\n{tail}", repeat=repeat)


def engine_gone_error(name: str, said: str, repeat: str) -> KubelabError:
    """Return the error of a build whose engine ended meanwhile, or refuses what it is asked."""
    return KubelabError(
        f"the image {name} was not built: the container engine does not answer as it should: {said}",
        next_step="start it again (`kubelab up` does); what was built is kept, and the same command goes on from there",
        repeat=repeat,
    )


def join_failures(
    failed: Mapping[str, KubelabError], *, built: Sequence[str], not_begun: Sequence[str]
) -> KubelabError:
    """Return one error for all: each image that failed, what was built before and is kept, what was not tried."""
    parts = [error.what for error in failed.values()]
    parts += [f"built and kept: {', '.join(built)}"] if built else []
    parts += [f"not tried any more: {', '.join(not_begun)}"] if not_begun else []
    steps = dict.fromkeys(error.next_step for error in failed.values() if error.next_step)
    repeats = dict.fromkeys(error.repeat for error in failed.values() if error.repeat)
    return KubelabError("\n".join(parts), next_step="; ".join(steps), repeat=" && ".join(repeats))


def _ask(engine: DockerClient) -> str | None:
    """Return what is wrong with the engine; None if it answers."""
    from docker.errors import DockerException
    from requests import RequestException

    try:
        engine.ping()
    except (DockerException, RequestException) as error:
        return str(error)
    return None


def _describe_space(engine: DockerClient) -> str:
    """Say how much is free where the engine keeps its data, if that is on this machine."""
    root = engine.info().get("DockerRootDir", "")
    try:
        free = shutil.disk_usage(root).free
    except OSError:
        return f"the engine keeps its data in {root} of its own machine"
    return f"{free / (1 << 30):.1f} GiB are free in {root}, where the engine keeps its data"
