"""A lab as kubelab.yaml and the command line describe it: what can be wrong with it is told before any work."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast, get_args

from kubelab_helpers.artifacts.source import SourceName
from kubelab_helpers.cluster.spec import FILE_NAME, LabSpec, read_spec
from kubelab_helpers.document import Document, read_document, suggest
from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.release.values import validate_values


def describe_lab(file: Path | None, *, source: str | None = None, bundle: Path | None = None) -> LabSpec:
    """Return the lab of `file` (kubelab.yaml by default, if it is there) with the command line's options over it.

    InvalidInputError for every mistake that can be seen without touching anything: keys and types, contradictions,
    sources, Pythons that no image carries, files that are not there, and the chart's values.
    """
    spec = read_spec(file)
    if source is not None:
        spec = dataclasses.replace(spec, source=require_source(source))
    if bundle is not None:
        spec = dataclasses.replace(spec, bundle=bundle)
    require_files(spec)
    if spec.pythons is not None:
        load_catalog().select([], spec.pythons)
    if spec.values:
        validate_values(spec.values, [_values_document(file or Path(FILE_NAME))])
    return spec


def require_source(name: str) -> SourceName:
    """Return the name of a source; InvalidInputError names the nearest."""
    known = get_args(SourceName)
    if name not in known:
        raise InvalidInputError(
            f"there is no source {name}{suggest(name, known)}", next_step=f"choose among {', '.join(known)}"
        )
    return cast("SourceName", name)


def require_files(spec: LabSpec) -> None:
    """Require that the files a lab names are there; InvalidInputError for the first that is not."""
    if spec.source == "bundle" and spec.bundle is None:
        raise InvalidInputError(
            "the source `bundle` needs a bundle", next_step="name it with --bundle, or in kubelab.yaml as `bundle`"
        )
    for what, path in (("bundle", spec.bundle), ("authorities (trust.caBundle)", spec.ca_bundle)):
        if path is not None and not path.exists():
            raise InvalidInputError(f"the {what} {path} is not there", next_step="correct the path")


def _values_document(file: Path) -> Document:
    """Return the part of kubelab.yaml that holds the chart's values, with its lines there."""
    document = read_document(file)
    lines = {keys[1:]: line for keys, line in document.lines.items() if keys[0] == "values"}
    return Document(document.name, document.values["values"], lines)
