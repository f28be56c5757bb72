"""One build: its progress while it runs, the image it leaves, and what became of the one it replaces."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubelab_helpers.hosts.children import Children
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.images.base import has_image
from kubelab_helpers.images.failure import engine_gone_error, explain_failure
from kubelab_helpers.images.progress import BuildProgress
from kubelab_helpers.result import Outcome, Reporter

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image


@dataclass(frozen=True)
class Builder:
    """Runs builds side by side, each with a task of its own; `children.end` ends them all."""

    engine: DockerClient
    reporter: Reporter
    children: Children = field(default_factory=Children)

    def build(self, name: str, reference: str, command: Command, *, repeat: str) -> Image:
        """Run the build client's command and return the image that it named `reference`.

        KubelabError says why there is none; `repeat` is the command for that.
        """
        from docker.errors import DockerException
        from requests import RequestException

        task, outcome, began = f"build {name}", Outcome.FAILED, time.monotonic()
        self.reporter.start(task, total=1)
        try:
            before = _image_id(self.engine, reference)
            self._run(task, name, command, repeat)
            _drop_replaced(self.engine, before, reference)
            built = self.engine.images.get(reference)
            outcome = Outcome.CHANGED
        except (DockerException, RequestException) as error:
            raise engine_gone_error(name, str(error), repeat) from error
        finally:
            self.reporter.finish(task, outcome, f"{time.monotonic() - began:.0f} s")
        return built

    def _run(self, task: str, name: str, command: Command, repeat: str) -> None:
        progress = BuildProgress()

        def follow(line: str) -> None:
            if progress.read(line):
                self.reporter.advance(task, progress.fraction, progress.note)

        completed = self.children.run(command, follow)
        if completed.status != 0:
            raise explain_failure(name, completed.command.redact(completed.text), self.engine, repeat)


def _drop_replaced(engine: DockerClient, before: str | None, reference: str) -> None:
    """Remove the image that lost its name to the new one, unless something still uses it."""
    from docker.errors import APIError

    if before is None or before == _image_id(engine, reference) or not has_image(engine, before):
        return
    if engine.images.get(before).tags:
        return
    try:
        engine.images.remove(before)
    except APIError as error:
        # 409: a running node was made from it; it goes with the node.
        if error.status_code not in {404, 409}:
            raise


def _image_id(engine: DockerClient, reference: str) -> str | None:
    return str(engine.images.get(reference).id) if has_image(engine, reference) else None
