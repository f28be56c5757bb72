"""Where the hub's images come from for hosts elsewhere, and which of them are sent."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from kubelab_helpers.artifacts.bundle import BundledImage, ImageLayout, write_bundle
from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.spec import RegistryMirror
from kubelab_helpers.hosts.ssh_access import SshAccess
from kubelab_helpers.lab import delivery, images, registry, release
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.result import Outcome

from ..hosts.support import Answering
from .support import make_lab

HOSTS = tuple(
    HostSpec(name, "worker" if name == "w" else "control-plane", f"10.0.0.{number}", ssh=SshAccess(f"10.0.0.{number}"))
    for number, name in enumerate(("a", "b", "c", "w"), start=1)
)
SPEC = LabSpec(hosts=HOSTS, pythons=("3.11",))
DIGEST = "sha256:" + "d" * 64


def with_bundle(tmp_path: Path, keys: dict[str, str], spec: LabSpec = SPEC) -> Lab:
    """Return a lab with a bundle that carries images of these input hashes."""
    layout = tmp_path / "layout"
    layout.mkdir()
    carried = {name: BundledImage(key, f"reference of {name}", DIGEST, {}) for name, key in keys.items()}
    catalog = make_lab(tmp_path, spec).store.catalog
    write_bundle(tmp_path / "bundle", catalog, {}, ImageLayout(layout, carried))
    return make_lab(tmp_path, dataclasses.replace(spec, bundle=tmp_path / "bundle", source="bundle"))


def test_images_of_a_bundle_are_taken_and_need_no_engine(tmp_path: Path) -> None:
    keys = images.image_keys(make_lab(tmp_path, SPEC))
    assert list(keys) == ["provisioner", "proxy", "hub", "notebook-py3.11"]
    lab = with_bundle(tmp_path, keys)
    assert list(images.bundled_images(lab)) == list(keys)
    del lab.__dict__["engine"]
    for run in (images.find_image_source, registry.start_registry, images.build_images, images.push_images):
        assert run(lab)[0] is Outcome.UNCHANGED
    assert images.digests_of(lab) == dict.fromkeys(keys, DIGEST)


def test_images_of_another_version_are_refused(tmp_path: Path) -> None:
    keys = images.image_keys(make_lab(tmp_path, SPEC)) | {"hub": "another"}
    lab = with_bundle(tmp_path, keys)
    with pytest.raises(BlockedError, match=r"lacks images of this version of kubelab: hub$"):
        images.find_image_source(lab)
    # Where there is a network too, they are built.
    lab = make_lab(tmp_path, dataclasses.replace(lab.spec, source="auto"))
    assert images.bundled_images(lab) == {}


def test_container_nodes_build_their_images(tmp_path: Path) -> None:
    lab = with_bundle(tmp_path, images.image_keys(make_lab(tmp_path)), LabSpec())
    assert images.bundled_images(lab) == {}


def test_an_image_is_sent_that_one_registry_lacks(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, SPEC)
    lab.folder.mkdir()
    lab.digests_file.write_text(json.dumps(dict.fromkeys(images.image_references(lab), DIGEST)))
    whole = "".join(f"file\t{each.watched[0][5:]}\tx\t644 0:0\n" for each in delivery.list_wanted(lab))
    said = {"a": whole, "b": "\n".join(whole.splitlines()[1:]) + "\n", "c": whole}
    lab._runners.update({name: Answering(lambda _, text=text: text.encode()) for name, text in said.items()})  # type: ignore[misc]  # bound early
    assert [each.reference.rpartition("/")[2] for each in delivery.find_missing(lab)] == [
        "local-path-provisioner:v0.0.30"
    ]


def test_nodes_ask_every_control_plane_in_turn_their_own_first(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, SPEC)

    def urls(*numbers: int) -> tuple[RegistryMirror, ...]:
        return (RegistryMirror("localhost:5000", tuple(f"http://10.0.0.{each}:5000" for each in numbers)),)

    assert lab._mirrors(HOSTS[1]) == urls(2, 1, 3)
    assert lab._mirrors(HOSTS[3]) == urls(1, 2, 3)


def test_the_hub_may_ask_every_api_server(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, SPEC)
    lab.folder.mkdir()
    lab.digests_file.write_text(json.dumps(dict.fromkeys(images.image_references(lab), DIGEST)))
    assert release.values_of(lab)["networkPolicy"]["apiServer"]["cidrs"] == [f"10.0.0.{each}/32" for each in (1, 2, 3)]
    assert lab.hub_address == "http://10.0.0.1:30080"
