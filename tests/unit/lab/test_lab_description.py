"""What is wrong with a lab's description is told before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.lab.description import describe_lab


def describe(folder: Path, text: str, **options: object) -> object:
    file = folder / "kubelab.yaml"
    file.write_text(text)
    return describe_lab(file, **options)  # type: ignore[arg-type]  # options of describe_lab


def test_the_command_line_is_over_the_file(tmp_path: Path) -> None:
    bundle = tmp_path / "parts.tar"
    bundle.touch()
    spec = describe(tmp_path, "source: modules\n", source="bundle", bundle=bundle)
    assert (spec.source, spec.bundle) == ("bundle", bundle)  # type: ignore[attr-defined]


def test_the_values_of_the_chart_have_their_line_in_the_labs_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        describe(tmp_path, "name: a\nvalues:\n  hub:\n    confg: {}\n  singleuser:\n    memory: 1\n")
    assert "kubelab.yaml:4: hub.confg: unknown key; did you mean config?" in caught.value.what
    assert "kubelab.yaml:6: singleuser.memory: " in caught.value.what


def test_good_values_pass(tmp_path: Path) -> None:
    spec = describe(tmp_path, "values:\n  debug:\n    enabled: true\n")
    assert spec.values == {"debug": {"enabled": True}}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "options", "what", "next_step"),
    [
        ("", {"source": "module"}, "there is no source module; did you mean modules?", "auto, bundle, upstream"),
        ("", {"source": "bundle"}, "the source `bundle` needs a bundle", "--bundle"),
        ("source: bundle\n", {}, "the source `bundle` needs a bundle", "--bundle"),
        ("bundle: absent.tar\n", {}, "absent.tar is not there", "correct the path"),
        ("trust: {caBundle: absent.pem}\n", {}, "absent.pem is not there", "correct the path"),
        ('pythons: ["2.7"]\n', {}, "there is no image with Python 2.7", "choose among"),
    ],
)
def test_a_mistake_is_refused(tmp_path: Path, text: str, options: dict[str, str], what: str, next_step: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        describe(tmp_path, text, **options)
    assert what in caught.value.what
    assert next_step in caught.value.next_step


def test_every_python_of_the_catalogue_can_be_chosen(tmp_path: Path) -> None:
    able = [each.version for each in load_catalog().pythons.values() if each.origin]
    spec = describe(tmp_path, f"pythons: {able}\n")
    assert list(spec.pythons) == able  # type: ignore[attr-defined]
