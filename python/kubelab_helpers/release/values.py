"""The chart's values: files merged as Helm merges them, and refused with path, line and nearest key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubelab_helpers import resources
from kubelab_helpers.document import Document, find_problems, merge, read_document
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.release.schema import read_schema

CHART = "charts/jupyterhub-multi"
OWN_SETTINGS = "kubelab's own settings"


def load_values(
    files: Sequence[Path], *, overrides: Mapping[str, Any] | None = None, chart: Path | None = None
) -> dict[str, Any]:
    """Return the values of `files`, later over earlier and `overrides` over all, without the defaults.

    They fit the chart's schema. Raises InvalidInputError that lists every problem with its path, its line and
    the nearest known key. Merged as in https://helm.sh/docs/chart_template_guide/values_files/
    """
    documents = [read_document(file) for file in files]
    if overrides:
        documents.append(Document(name=OWN_SETTINGS, values=overrides, lines={}))
    values: dict[str, Any] = {}
    for document in documents:
        values = merge(values, document.values)
    validate_values(values, documents, chart=chart)
    return values


def validate_values(
    values: Mapping[str, Any], documents: Sequence[Document] = (), *, chart: Path | None = None
) -> None:
    """Raise InvalidInputError unless `values` over the chart's defaults fit its schema."""
    chart = chart or resources.path(CHART)
    defaults = read_document(chart / "values.yaml")
    problems = find_problems(merge(defaults.values, values), read_schema(chart), documents)
    if problems:
        lines = "\n  ".join(str(problem) for problem in problems)
        raise InvalidInputError(
            f"the chart's values are refused:\n  {lines}",
            next_step=f"Mend them; {chart / 'README.md'} lists every key.",
        )
