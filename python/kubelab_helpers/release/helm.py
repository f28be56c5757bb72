"""Helm, through pyhelm3: its only user.

pyhelm3 logs its command lines at INFO, runs them through a shell (quoted by shlex) and was written for Helm 3; each
call made here was run against Helm 4.3. Values go on stdin; access goes by a kubeconfig file, so that no token is on
an argv.
https://github.com/azimuth-cloud/pyhelm3
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelab_helpers.errors import KubelabError

TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Revision:
    """A release's newest revision; `description` is what was said when it was made."""

    number: int
    status: str
    chart: str
    description: str


class Helm:
    """One Helm program on one cluster."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        from pyhelm3.command import Command

        # At INFO pyhelm3 writes whole command lines; only its errors are wanted.
        logging.getLogger("pyhelm3").setLevel(logging.ERROR)
        timeout = f"{TIMEOUT_SECONDS}s"
        self._command = Command(executable=str(program), kubeconfig=kubeconfig, default_timeout=timeout)

    def current(self, release: str, namespace: str) -> Revision | None:
        """Return the newest revision of a release, or None if there is none."""
        from pyhelm3.errors import Error, ReleaseNotFoundError

        try:
            history = list(asyncio.run(self._command.history(release, max_revisions=1, namespace=namespace)))
        except ReleaseNotFoundError:
            return None
        except Error as error:
            raise _explain(f"helm history {release}", error) from error
        return _revision(history[-1]) if history else None

    def upgrade(self, release: str, namespace: str, chart: Path, values: Mapping[str, Any], description: str) -> int:
        """Install or upgrade a release with exactly these values and return its revision.

        The hooks have run when it returns; it does not wait for pods, whose reasons `deploy` tells better.
        """
        from pyhelm3.errors import Error

        call = self._command.install_or_upgrade(
            release,
            chart,
            dict(values),
            namespace=namespace,
            create_namespace=False,
            description=description,
            reset_values=True,
        )
        try:
            return int(asyncio.run(call)["version"])
        except Error as error:
            raise _explain(f"helm upgrade --install {release}", error) from error

    def render(self, release: str, namespace: str, chart: Path, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the objects of a release of these values, hooks left out; the cluster is not asked."""
        from pyhelm3.errors import Error

        call = self._command.template(release, chart, dict(values), namespace=namespace, no_hooks=True)
        try:
            return [each for each in asyncio.run(call) if each]
        except Error as error:
            raise _explain(f"helm template {release}", error) from error


def _revision(entry: Mapping[str, Any]) -> Revision:
    return Revision(int(entry["revision"]), entry["status"], entry["chart"], entry.get("description", ""))


def _explain(what: str, error: Any) -> KubelabError:
    said = error.stderr.decode(errors="replace").strip() or error.stdout.decode(errors="replace").strip()
    return KubelabError(f"{what} failed: {said}", next_step="`kubelab status` shows what the cluster has")
