"""Fixtures that the tests of hosts share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """Return the folder that stands for /var/lib/kubelab."""
    folder = tmp_path / "state"
    (folder / "stamps").mkdir(parents=True)
    return folder
