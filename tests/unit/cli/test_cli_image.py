"""`kubelab image`: what is refused, and what each command says, with no engine or one that is made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from kubelab_helpers.cli import image_acceptance, image_inspect, image_prune, image_push, image_sbom
from kubelab_helpers.cli.options import Output
from kubelab_helpers.cluster import engine
from kubelab_helpers.document import require_folder, write_whole
from kubelab_helpers.errors import BlockedError, InvalidInputError, KubelabError
from kubelab_helpers.images import acceptance, pruning, sbom
from kubelab_helpers.images.acceptance import CheckResult
from kubelab_helpers.images.pruning import Pruned, PrunePlan, StaleImage

STALE = StaleImage("localhost:5000/kubelab/notebook:0.0.1-py3.7", "sha256:1", "not in the catalogue", 5_000_000)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, on a machine whose engine has no image."""
    from docker.errors import ImageNotFound

    def get(reference: str) -> Any:
        raise ImageNotFound(reference)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "client", lambda: SimpleNamespace(images=SimpleNamespace(get=get)))


def test_an_image_that_is_not_built_is_told_with_its_command(tmp_path: Path) -> None:
    asks: tuple[Callable[[], None], ...] = (
        lambda: image_inspect.inspect("hub"),
        lambda: image_sbom.sbom("hub"),
        lambda: image_acceptance.check(["hub"]),
    )
    for ask in asks:
        with pytest.raises(BlockedError, match="hub is not built on this machine") as raised:
            ask()
        assert raised.value.next_step == "kubelab image build hub"
    assert not list(tmp_path.iterdir())


def test_a_machine_without_images_has_nothing_to_share(capsys: pytest.CaptureFixture[str]) -> None:
    image_inspect.inspect(output=Output.JSON)
    nothing = {"images": 0, "sum_bytes": 0, "stored_bytes": 0, "ratio": None}
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "images": [],
        "storage": {"all": nothing, "pythons": nothing},
    }


def test_a_bill_goes_to_stdout_or_whole_into_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kubelab_helpers.images import presence

    monkeypatch.setattr(presence, "require_image", lambda *_: SimpleNamespace(id="sha256:1"))
    monkeypatch.setattr(sbom, "write_bill", lambda *_: '{"bomFormat": "CycloneDX"}\n')
    image_sbom.sbom("hub")
    assert capsys.readouterr().out == '{"bomFormat": "CycloneDX"}\n'
    image_sbom.sbom("hub", to=Path("hub.cdx.json"), output=Output.JSON)
    assert json.loads(capsys.readouterr().out)["sbom"]["file"] == "hub.cdx.json"
    assert (tmp_path / "hub.cdx.json").read_text() == '{"bomFormat": "CycloneDX"}\n'
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there_is_refused_first(tmp_path: Path) -> None:
    target = tmp_path / "absent" / "file"
    asks: tuple[Callable[[], None], ...] = (
        lambda: image_sbom.sbom("hub", to=target),
        lambda: image_push.values(to=target),
        lambda: require_folder(target),
    )
    for ask in asks:
        with pytest.raises(InvalidInputError, match="absent is not there") as raised:
            ask()
        assert raised.value.next_step == f"mkdir -p {tmp_path}/absent"


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(KubelabError, match="taken was not written: Is a directory"):
        write_whole(tmp_path / "taken", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_a_failed_check_is_told_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [CheckResult("hub", "user", "", 0.1), CheckResult("hub", "size", "9 bytes, and 8 are allowed", 0.1)]
    monkeypatch.setattr(acceptance, "check_images", lambda *_, **__: results)
    with pytest.raises(typer.Exit) as ended:
        image_acceptance.check(["hub"])
    assert ended.value.exit_code == 1
    said = capsys.readouterr().out
    assert "hub: size: 9 bytes, and 8 are allowed" in said
    assert "It is not heavier unpacked than its family may be" in said
    with pytest.raises(typer.Exit):
        image_acceptance.check(["hub"], output=Output.JSON)
    told = json.loads(capsys.readouterr().out)["checks"]
    assert [(each["check"], each["passed"]) for each in told] == [("user", True), ("size", False)]


def test_prune_asks_first_and_tells_the_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = PrunePlan((STALE,), (), nameless=2)
    monkeypatch.setattr(pruning, "plan_prune", lambda *_: plan)
    monkeypatch.setattr(pruning, "prune", lambda *_: pytest.fail("something was removed"))
    with pytest.raises(InvalidInputError, match="prune removes 1 images") as raised:
        image_prune.prune()
    assert "kubelab image prune --yes" in raised.value.next_step

    image_prune.prune(dry_run=True)
    said = capsys.readouterr().out
    assert "1 would go, which gives at least 5000000 bytes back" in said
    assert "2 without a name" in said

    monkeypatch.setattr(pruning, "prune", lambda *_: Pruned((STALE,), (), 5_000_000, 4_000_000))
    image_prune.prune(yes=True)
    assert "1 removed, 4000000 bytes given back; the engine's build cache holds 1000000 more" in capsys.readouterr().out


def test_values_are_not_made_up_for_what_was_not_pushed() -> None:
    with pytest.raises(BlockedError, match=r"not pushed to registry\.example/team from here: proxy, hub") as raised:
        image_push.values(pushed_to="registry.example/team")
    assert raised.value.next_step == "kubelab image push --to registry.example/team"


def test_push_names_what_is_no_registry() -> None:
    with pytest.raises(InvalidInputError, match="team names no registry"):
        image_push.push(to="team")
