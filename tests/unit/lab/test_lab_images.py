"""Which images a lab starts, and what the chart is told of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kubelab_helpers.cluster.spec import LabSpec
from kubelab_helpers.lab.images import image_references
from kubelab_helpers.lab.release import values_of

from .support import HOSTS, make_lab

SPEC = LabSpec(hosts=HOSTS, pythons=("3.9", "3.13"))


@pytest.mark.parametrize(
    ("latex", "multi", "notebooks"),
    [
        (False, False, {"notebook-py3.9", "notebook-py3.13"}),
        (True, False, {"notebook-latex-py3.9", "notebook-latex-py3.13"}),
        (True, True, {"notebook-latex-py3.9", "notebook-latex-py3.13", "notebook-latex-multi"}),
    ],
)
def test_what_the_chart_starts_is_named_without_what_it_stands_on(
    tmp_path: Path, latex: bool, multi: bool, notebooks: set[str]
) -> None:
    lab = make_lab(tmp_path, replace(SPEC, latex=latex, multi_kernel=multi))
    assert set(image_references(lab)) == {"provisioner", "proxy", "hub", *notebooks}


def test_the_chart_is_told_the_variant_with_latex(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, replace(SPEC, latex=True, multi_kernel=True))
    digest = "sha256:" + "0" * 64
    lab.folder.mkdir()
    lab.digests_file.write_text(json.dumps(dict.fromkeys(image_references(lab), digest)))
    told = {each["version"]: each["image"] for each in values_of(lab)["pythons"]}
    assert told["3.13"] == {"repository": "kubelab/notebook-latex", "digest": digest}
    assert told["multi"] == {"repository": "kubelab/notebook-latex-multi", "tag": "0.1.0", "digest": digest}
