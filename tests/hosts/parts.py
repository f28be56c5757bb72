"""`python -m tests.hosts.parts`: gets what these tests take from the cache, before any of their clocks runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kubelab_helpers.cli.render import ProgressReporter
from kubelab_helpers.cluster.spec import LabSpec
from kubelab_helpers.lab.context import CHECK_PARTS, Lab

VERSIONS = ("1.37.2", "1.36.3")
"""The upgrades begin at the older one. A host of the tests has no compiler, and an `apply` has a deadline."""


def main() -> None:
    """Fetch or build every part of each version of Kubernetes, and what a network check needs."""
    with ProgressReporter() as reporter:
        for version in VERSIONS:
            lab = Lab(LabSpec(kubernetes_version=version), Path(tempfile.gettempdir()) / "kubelab-parts", reporter)
            lab.parts()
            lab.store.fetch(CHECK_PARTS, reporter)


if __name__ == "__main__":
    main()
