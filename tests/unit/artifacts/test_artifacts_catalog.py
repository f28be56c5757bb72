"""The catalogue: what its schema refuses, and what decides a cache key."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelab_helpers import resources
from kubelab_helpers.artifacts.catalog import load_catalog
from kubelab_helpers.errors import BlockedError, InvalidInputError
from tests.unit.artifacts.support import SMALL

HELM: dict[str, Any] = yaml.safe_load(resources.path("host-setup/artifacts.yaml").read_text())["artifacts"]["helm"]


def load(folder: Path, **artifacts: dict[str, Any]) -> None:
    data = copy.deepcopy(SMALL)
    data["artifacts"] |= artifacts
    (folder / "artifacts.yaml").write_text(yaml.safe_dump(data))
    load_catalog(folder / "artifacts.yaml")


def with_wheel(**changes: Any) -> dict[str, Any]:
    return {**HELM, "modules": {"wheel": {**HELM["modules"]["wheel"], **changes}}}


TOOL: dict[str, Any] = SMALL["artifacts"]["tool"]
IMAGE: dict[str, Any] = SMALL["artifacts"]["image-tool"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**TOOL, "upstram": {}}, "upstram"),
        ({**TOOL, "kind": "program"}, "program"),
        ({"kind": "binary"}, "version"),
        ({**TOOL, "upstream": {**TOOL["upstream"], "url": "http://tool.test/tool"}}, "http://tool.test/tool"),
        ({**TOOL, "upstream": {**TOOL["upstream"], "checksum": "md5"}}, "md5"),
        ({**TOOL, "upstream": {"url": "https://tool.test/tool"}}, "checksum"),
        ({**TOOL, "upstream": {}}, "upstream"),
        (with_wheel(arch="riscv64"), "riscv64"),
        (with_wheel(sha256="0"), "'0'"),
        ({**IMAGE, "user": "root"}, "root"),
        ({key: value for key, value in IMAGE.items() if key != "repository"}, "repository"),
        ({key: value for key, value in IMAGE.items() if key != "layers"}, "layers"),
        ({**TOOL, "debian": {"suite": "sid", "variant": "standard", "packages": []}}, "standard"),
        ({**TOOL, "modules": {"module": "runc"}}, "modules"),
    ],
)
def test_the_schema_refuses(entry: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load(tmp_path, other=entry)
    assert caught.value.what.startswith("artifacts.yaml: $.artifacts.other")
    assert said in caught.value.what


def test_what_the_refused_were_made_from_is_taken(tmp_path: Path) -> None:
    load(tmp_path, other=TOOL, helm=with_wheel(), picture=IMAGE)


def test_a_part_of_an_image_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="toool") as caught:
        load(tmp_path, other={**IMAGE, "layers": {"files": {"/tool": "toool"}}})
    assert caught.value.next_step == "did you mean tool?"


@pytest.mark.parametrize(
    ("wrong", "near"), [("kubelt", "kubelet"), ("etc", "etcd"), ("image-core-dns", "image-coredns")]
)
def test_an_unknown_artifact_names_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(InvalidInputError, match=wrong) as caught:
        load_catalog().get(wrong)
    assert caught.value.next_step == f"did you mean {near}?"


def test_an_unknown_artifact_like_no_other_lists_all() -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_catalog().get("zzzzzz")
    assert "kubelet, kubeadm" in caught.value.next_step


def keys() -> dict[str, str]:
    catalog = load_catalog()
    return {name: catalog.key(name) for name in catalog.artifacts}


def test_every_key_holds_the_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    amd64 = keys()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert [name for name, key in keys().items() if key == amd64[name]] == []


def test_every_key_is_its_own() -> None:
    found = keys()
    assert len(set(found.values())) == len(found)


def test_a_machine_without_parts_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(BlockedError, match="riscv64"):
        load_catalog()


CHANGES: list[tuple[str, Callable[[dict[str, Any]], Any], set[str]]] = [
    ("a version", lambda each: each["pause"].update(version="3.10.3"), {"pause", "image-pause"}),
    ("an image's user", lambda each: each["image-etcd"].update(user="1:1"), {"image-etcd"}),
    ("a package", lambda each: each["debian-trixie"]["debian"]["packages"].append("tini"), {"debian-trixie"}),
]


@pytest.mark.parametrize(("what", "change", "changed"), CHANGES, ids=[each[0] for each in CHANGES])
def test_a_key_follows_the_recipe(
    what: str, change: Callable[[dict[str, Any]], Any], changed: set[str], tmp_path: Path
) -> None:
    # Anchors share objects in what YAML gives; a copy by JSON's kind of tree keeps the entries apart.
    data = yaml.safe_load(resources.path("host-setup/artifacts.yaml").read_text())
    entries = {name: copy.deepcopy(entry) for name, entry in data["artifacts"].items()}
    change(entries)
    (tmp_path / "artifacts.yaml").write_text(yaml.safe_dump({**data, "artifacts": entries}))
    catalog, before = load_catalog(tmp_path / "artifacts.yaml"), keys()
    assert {name for name in before if catalog.key(name) != before[name]} == changed


def test_keys_do_not_depend_on_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load_catalog()
    shutil.copytree(resources.path("host-setup"), tmp_path / "host-setup")
    monkeypatch.setattr(resources, "root", lambda: tmp_path)
    there = load_catalog()
    assert {name: there.key(name) for name in there.artifacts} == {name: here.key(name) for name in here.artifacts}


def test_a_key_follows_its_inputs_and_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(resources.path("host-setup"), tmp_path / "host-setup")
    monkeypatch.setattr(resources, "root", lambda: tmp_path)
    catalog = load_catalog()
    before = {name: catalog.key(name) for name in catalog.artifacts}
    with (tmp_path / "host-setup/sources/pause.c").open("a") as file:
        file.write("\n")
    changed = {name for name in catalog.artifacts if catalog.key(name) != before[name]}
    assert changed == {"pause", "image-pause"}
