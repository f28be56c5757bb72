"""The lab with the whole matrix: a cell runs in each Python, and in each kernel of the image that has all of them.

Afterwards the lab is what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab_helpers.cluster.spec import read_spec
from kubelab_helpers.images.catalog import load_catalog
from tests.e2e.hub import HubSession
from tests.e2e.kernel import open_kernel
from tests.e2e.lab import ROOT, Lab, read_answer, run_kubelab
from tests.e2e.people import People

pytestmark = pytest.mark.timeout(3600)

FILE = Path(__file__).with_name("kubelab.yaml")
SPEC = read_spec(FILE)
PYTHONS = SPEC.pythons or ()
UP_SECONDS = 3000
CODE = "import sys, numpy, pandas; (sys.version_info[:2], sys.prefix)"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The lab of `make up`, given the matrix; its images are built if they are not."""
    read_answer(run_kubelab("up", "--file", str(FILE), "--output", "json", timeout_seconds=UP_SECONDS))
    yield Lab(SPEC, ROOT / ".kubelab")
    read_answer(run_kubelab("up", "--output", "json", timeout_seconds=UP_SECONDS))


@pytest.fixture(scope="module")
def people(lab: Lab) -> Iterator[People]:
    """Makes accounts; their homes are gone when the module ends."""
    admin = HubSession(lab.address)
    admin.log_in(*lab.admin())
    people = People(lab, admin)
    yield people
    people.remove_all()


@pytest.fixture(scope="module")
def person(people: People) -> HubSession:
    """Somebody who tries everything."""
    return people.approved("matrix")


def answer_of(version: str) -> str:
    return f"(({version.replace('.', ', ')}), '/opt/python/{version}')"


def test_the_matrix_is_all_that_the_catalogue_has() -> None:
    assert list(PYTHONS) == [each.version for each in load_catalog().pythons.values() if each.origin]


def test_the_page_says_which_pythons_nobody_mends_any_more(lab: Lab, person: HubSession) -> None:
    page = person.open("/hub/spawn").text
    assert "No security fixes since 7 October 2024" in page
    assert "Security fixes until 31 October 2029" in page


@pytest.mark.parametrize("version", PYTHONS)
def test_a_cell_runs_in_the_python_that_was_picked(version: str, person: HubSession) -> None:
    person.start_server(version)
    with open_kernel(person) as kernel:
        assert kernel.run(CODE).result == answer_of(version)
    person.stop_server()


def test_a_cell_runs_in_every_kernel_of_the_image_with_all(person: HubSession) -> None:
    person.start_profile("All Pythons")
    specs = person.call("GET", f"/user/{person.name}/api/kernelspecs").json()["kernelspecs"]
    names = {spec["spec"]["display_name"].removeprefix("Python "): name for name, spec in specs.items()}
    assert sorted(names) == sorted(PYTHONS)
    for version, name in names.items():
        with open_kernel(person, name) as kernel:
            assert kernel.run(CODE).result == answer_of(version)
    person.stop_server()
