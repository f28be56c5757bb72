"""The operator's values files: merged as Helm merges, refused with file, line and the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab_helpers.errors import ExitStatus, InvalidInputError
from kubelab_helpers.release.schema import write_generated
from kubelab_helpers.release.values import load_values

from .conftest import CHART


def write(folder: Path, name: str, text: str) -> Path:
    """A values file."""
    file = folder / name
    file.write_text(text)
    return file


def test_what_is_generated_from_the_schema_is_up_to_date() -> None:
    """values.schema.json and the README's table; `make schema` writes them."""
    assert write_generated(CHART, check=True) == []


def test_later_files_go_over_earlier_ones_and_lists_are_replaced(tmp_path: Path) -> None:
    """As with several --values of Helm."""
    first = write(tmp_path, "a.yaml", "hub:\n  baseUrl: /a\n  extraEnv: {A: '1'}\npythons:\n- version: '3.11'\n")
    second = write(tmp_path, "b.yaml", "hub:\n  extraEnv: {B: '2'}\npythons:\n- version: '3.13'\n")
    values = load_values([first, second], overrides={"cull": {"enabled": False}}, chart=CHART)
    assert values == {
        "hub": {"baseUrl": "/a", "extraEnv": {"A": "1", "B": "2"}},
        "pythons": [{"version": "3.13"}],
        "cull": {"enabled": False},
    }


def test_every_scenario_of_ct_is_valid() -> None:
    """The same files that `ct lint` uses."""
    for file in sorted((CHART / "ci").glob("*-values.yaml")):
        load_values([file], chart=CHART)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hub:\n  baseURL: /x\n", "values.yaml:2: hub.baseURL: unknown key; did you mean baseUrl?"),
        ("\nsingelUser: {}\n", "values.yaml:2: singelUser: unknown key; did you mean singleuser?"),
        ("zzz: 1\n", "values.yaml:1: zzz: unknown key"),
        ("hub:\n  resources: lots\n", "values.yaml:2: hub.resources: object is wanted, not string"),
        ("pythons:\n- version: 3.11\n", "values.yaml:2: pythons[0].version: string is wanted, not number"),
        ("pythons:\n- version: '3.11'\n- displayname: x\n", "values.yaml:3: pythons[1]: version is missing"),
        ("pythons:\n- version: '3.11'\n  displayname: x\n", "values.yaml:3: pythons[0].displayname: unknown key"),
        (
            "networkPolicy:\n  singleuser:\n    egress: Internet\n",
            "networkPolicy.singleuser.egress: 'Internet' is none of internet, packages, none, strict; did you mean",
        ),
        ("singleuser:\n  uid: 0\n", "values.yaml:2: singleuser.uid: 0 is out of range: the minimum is 1"),
        ("cull:\n  every: 60\n  every: 70\n", "values.yaml:3: cull.every stands twice"),
        ("cull: [\n", "values.yaml:2: "),
        (
            "prePuller:\n  extraImages: {r: {name: quay.io/r}}\n",
            "values.yaml:2: prePuller.extraImages.r: tag is missing",
        ),
        ("- a\n", "values.yaml:1: a mapping is wanted at the top, not a list"),
    ],
)
def test_a_mistake_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """And with the nearest known key."""
    with pytest.raises(InvalidInputError) as refusal:
        load_values([write(tmp_path, "values.yaml", text)], chart=CHART)
    assert message in refusal.value.what
    assert refusal.value.exit_status == ExitStatus.INVALID


def test_the_file_that_is_wrong_is_named_among_several(tmp_path: Path) -> None:
    """The last that says the key."""
    right = write(tmp_path, "right.yaml", "hub:\n  baseUrl: /x\n")
    wrong = write(tmp_path, "wrong.yaml", "\n\nhub:\n  baseUrl: x\n")
    with pytest.raises(InvalidInputError, match=r"wrong\.yaml:4: hub\.baseUrl: does not match"):
        load_values([wrong], chart=CHART)
    with pytest.raises(InvalidInputError, match=r"wrong\.yaml:4: "):
        load_values([right, wrong], chart=CHART)


def test_a_value_of_the_wrong_type_is_not_shown(tmp_path: Path) -> None:
    """It might be a password in the wrong place."""
    file = write(tmp_path, "values.yaml", "hub:\n  existingSecret: {password: hunter2}\n  admin: hunter2\n")
    with pytest.raises(InvalidInputError) as refusal:
        load_values([file], chart=CHART)
    assert "hunter2" not in refusal.value.what


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(InvalidInputError, match=r"none\.yaml cannot be read: No such file"):
        load_values([tmp_path / "none.yaml"], chart=CHART)
