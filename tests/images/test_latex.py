"""The variant with LaTeX: a notebook's PDF is made in the image, without a network, and opened here."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from kubelab_helpers.images.checks import LIMITS_BYTES

from .conftest import CATALOG
from .containers import as_pod, require_output

if TYPE_CHECKING:
    import docker

    from kubelab_helpers.images.catalog import Image

pytestmark = pytest.mark.skipif(
    not os.environ.get("KUBELAB_TEST_ALL_PYTHONS"), reason="the variant is built by `make test-images`"
)
VARIANT = CATALOG.select(["notebook-latex"], ["3.13"])[-1]
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Größe\n\n$$\\sum_{n=1}^{N} n^2$$ and *text*"},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": "import matplotlib.pyplot as plot\nplot.plot([1, 2])\nprint('the answer is', 6 * 7)",
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
EXPORT = """
set -eu
cat > probe.ipynb
jupyter nbconvert --to pdf --execute probe.ipynb >&2
base64 probe.pdf
"""


def test_an_exported_pdf_can_be_opened(
    client: docker.DockerClient, require_image: Callable[[Image], str], record_property: Callable[[str, object], None]
) -> None:
    """With a formula, an umlaut, a figure and what the cell printed."""
    image = require_image(VARIANT)
    script = f"echo {base64.b64encode(json.dumps(NOTEBOOK).encode()).decode()} | base64 -d | {{ {EXPORT} }}"
    made = base64.b64decode(require_output(client, image, ["sh", "-c", script], **as_pod()))
    record_property("pdf_bytes", len(made))
    page = PdfReader(io.BytesIO(made)).pages[0]
    text = page.extract_text()
    assert "Größe" in text
    assert "the answer is 42" in text
    resources = page["/Resources"].get_object()
    assert isinstance(resources, DictionaryObject)
    assert "/XObject" in resources  # the figure


def test_the_variant_is_below_its_limit(client: docker.DockerClient, require_image: Callable[[Image], str]) -> None:
    """XeLaTeX, its fonts and pandoc; they are one layer below all Pythons."""
    assert client.images.get(require_image(VARIANT)).attrs["Size"] <= LIMITS_BYTES["notebook-latex"]
