"""What is rendered, held against Kubernetes's own schemas, strictly: no field that it does not have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
from kubernetes_validate import utils

from .conftest import SCENARIOS

if TYPE_CHECKING:
    from .conftest import Render

MINORS = ("1.35", "1.36", "1.37")
"""The three newest, which upstream supports."""
EXTENSIONS = {"HTTPRoute"}
"""Kinds that are not Kubernetes's own."""


@pytest.fixture(scope="module", autouse=True)
def read_once() -> object:
    """Have each of its files, of a megabyte and more, read once and not for every object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
        yield


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_object_fits(render: Callable[..., Render], name: str, minor: str) -> None:
    """And the schemas are of that version, not of an older one that stands in for it."""
    rendered = render(scenario=name)
    objects = [*rendered.objects, *(pod for owner, pod in rendered.pods() if owner is pod)]
    checked = [each for each in objects if each["kind"] not in EXTENSIONS]
    assert len(checked) > 20
    assert {kubernetes_validate.validate(each, minor, strict=True) for each in checked} == {minor}


def test_a_misplaced_field_is_seen(default: Render) -> None:
    """The check can fail: a field one level too high is one that Kubernetes would drop in silence."""
    deployment = default.get("Deployment", "jupyterhub-hub")
    wrong = {**deployment, "spec": {**deployment["spec"], "nodeSelector": {"a": "b"}}}
    with pytest.raises(kubernetes_validate.ValidationError, match="nodeSelector"):
        kubernetes_validate.validate(wrong, MINORS[-1], strict=True)
