"""Images pushed by name, and the chart's values for what was pushed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from docker.errors import ImageNotFound

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.images.publication import Candidate, PublishedImage
from kubelab_helpers.lab import publication
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.release.values import validate_values

from .support import make_lab

ELSEWHERE = "registry.example/team"


def digest_of(name: str) -> str:
    return f"sha256:{name.encode().hex():0<64.64}"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab of one Python whose engine has every image but notebook-py3.8, and a registry that takes all."""
    made = make_lab(tmp_path)
    made.spec = replace(made.spec, pythons=("3.11",))

    def get(reference: str) -> Any:
        if reference.endswith("py3.8"):
            raise ImageNotFound(reference)
        return SimpleNamespace(id=reference)

    made.engine.images = SimpleNamespace(get=get)  # type: ignore[misc,assignment]

    def publish(_: Any, candidates: list[Candidate], **__: Any) -> list[PublishedImage]:
        return [PublishedImage(each.name, each.reference, digest_of(each.name), True) for each in candidates]

    def provisioner(_: Lab, prefix: str) -> Candidate:
        return Candidate("provisioner", f"{prefix}/local-path-provisioner:v1", None)

    monkeypatch.setattr(publication, "publish", publish)
    monkeypatch.setattr(publication, "provisioner_candidate", provisioner)
    return made


def test_everything_that_the_chart_starts_is_pushed_and_its_values_written(lab: Lab) -> None:
    pushed = publication.push_built(lab)
    assert [each.name for each in pushed] == ["proxy", "hub", "notebook-py3.11", "provisioner"]
    assert publication.values_of_pushed(lab) == {
        "images": {name: {"digest": digest_of(name)} for name in ("hub", "proxy", "provisioner")},
        "pythons": [
            {
                "version": "3.11",
                "endOfLife": "2027-10-31",
                "image": {"digest": digest_of("notebook-py3.11")},
                "default": True,
            }
        ],
    }


def test_values_of_another_registry_say_where_its_images_are(lab: Lab) -> None:
    lab.spec = replace(lab.spec, multi_kernel=True)
    pushed = publication.push_built(lab, to=ELSEWHERE)
    assert pushed[0].reference.startswith(f"{ELSEWHERE}/proxy:")
    values = publication.values_of_pushed(lab, ELSEWHERE)
    assert values["images"]["registry"] == ELSEWHERE
    assert values["images"]["hub"] == {"repository": "hub", "digest": digest_of("hub")}
    assert values["images"]["notebook"] == {"repository": "notebook"}
    assert values["images"]["provisioner"]["repository"] == "local-path-provisioner"
    assert values["pythons"][-1]["image"]["repository"] == "notebook-multi"
    validate_values(yaml.safe_load(yaml.safe_dump(values)))


def test_one_image_more_keeps_the_digests_of_the_others(lab: Lab) -> None:
    publication.push_built(lab)
    assert [each.name for each in publication.push_built(lab, ["hub"])] == ["hub"]
    assert publication.values_of_pushed(lab)["images"]["proxy"]["digest"] == digest_of("proxy")


def test_a_registry_knows_nothing_of_another_ones_digests(lab: Lab) -> None:
    publication.push_built(lab, ["hub"], to=ELSEWHERE)
    with pytest.raises(BlockedError, match=f"not pushed to {IMAGE_PREFIX} from here: proxy, hub") as raised:
        publication.values_of_pushed(lab)
    assert raised.value.next_step == "kubelab image push"
    with pytest.raises(BlockedError, match=r"from here: proxy, notebook-py3\.11, provisioner") as raised:
        publication.values_of_pushed(lab, ELSEWHERE)
    assert raised.value.next_step == f"kubelab image push --to {ELSEWHERE}"


def test_an_image_that_is_not_built_is_told_before_anything_is_pushed(lab: Lab) -> None:
    with pytest.raises(BlockedError, match=r"notebook-py3\.8 is not built") as raised:
        publication.push_built(lab, ["hub", "notebook-py3.8"])
    assert raised.value.next_step == "kubelab image build notebook-py3.8"
    assert not lab.digests_file.exists()


@pytest.mark.parametrize(
    ("names", "to", "said"), [(["hup"], ELSEWHERE, "no image hup"), (["hub"], "team", "no registry")]
)
def test_bad_input_is_refused(lab: Lab, names: list[str], to: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        publication.push_built(lab, names, to=to)
