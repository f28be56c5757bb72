"""The images: builds when nothing or one package changed, the whole matrix cold, starts, and what is stored."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import docker
import requests

from kubelab_helpers import resources
from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.images.build import BuiltImage, build
from kubelab_helpers.images.catalog import ImageCatalog, load_catalog
from kubelab_helpers.images.content import MANIFESTS
from kubelab_helpers.images.inspection import inspect_images, storage_of
from kubelab_helpers.images.locks import load_locks
from kubelab_helpers.images.resolver import write_locks
from kubelab_helpers.result import SilentReporter
from tests.bench.figures import Figures, summarize
from tests.bench.servers import measure_starts

KUBELAB = Path(sys.executable).parent / "kubelab"
RUNS = 5
BUILD_TIMEOUT_SECONDS = 4 * 3600
# Images that are only measured: the lab's own keep their names.
REGISTRY = "localhost/kubelab-bench"
REGISTRY_ADDRESS = "http://127.0.0.1:5000"
CHANGED_PYTHON = "3.11"
STARTED_PYTHON = "3.13"
FURTHER_PACKAGE = "tabulate"
NOTEBOOKS = ["notebook", "notebook-multi"]


def measure_images() -> Figures:
    """What there is of the matrix, as `kubelab image build --all-pythons` left it, and one package more."""
    engine, catalog = docker.from_env(timeout=600), load_catalog()
    reference = catalog.images[f"notebook-py{STARTED_PYTHON}"].reference(IMAGE_PREFIX)
    return {
        "unchanged": _measure_unchanged(),
        "storage": _measure_storage(engine, catalog),
        "starts": measure_starts(engine, reference),
        "one_package_more": _measure_one_package_more(engine, catalog),
    }


def measure_images_cold() -> Figures:
    """The whole matrix without the build cache. The root file systems are there: their making is not measured."""
    engine, catalog = docker.from_env(timeout=600), load_catalog()
    began = time.monotonic()
    with _removed_afterwards(engine):
        built = build(
            None,
            reporter=SilentReporter(),
            engine=engine,
            pythons=_pythons(catalog),
            registry=REGISTRY,
            no_cache=True,
        )
        seconds = round(time.monotonic() - began, 1)
    return {"seconds": seconds, "images": {each.name: round(each.seconds, 1) for each in built}}


def _measure_unchanged() -> Figures:
    _build_all()
    seconds = []
    for _ in range(RUNS):
        began = time.monotonic()
        images = _build_all()
        seconds.append(time.monotonic() - began)
        changed = [str(each["name"]) for each in images if each["changed"]]
        if changed:
            raise AssertionError(f"built again with unchanged inputs: {', '.join(changed)}")
    return {"images": len(images), **summarize(seconds)}


def _build_all() -> list[dict[str, object]]:
    argv = [str(KUBELAB), "image", "build", "--all-pythons", "--output", "json"]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, timeout=BUILD_TIMEOUT_SECONDS)
    images: list[dict[str, object]] = json.loads(done.stdout)["images"]
    return images


def _measure_storage(engine: docker.DockerClient, catalog: ImageCatalog) -> Figures:
    """Every Python's notebook: on this machine by layers, and packed in its registry by blobs, if all were pushed."""
    notebooks = [each for each in catalog.select(NOTEBOOKS[:1], _pythons(catalog)) if each.repository == NOTEBOOKS[0]]
    stored = storage_of(inspect_images(engine, notebooks).values())
    assert stored.ratio is not None
    figures: Figures = {"images": stored.images, "sum_bytes": stored.sum_bytes, "stored_bytes": stored.stored_bytes}
    figures["ratio"] = round(stored.ratio, 3)
    manifests = [_manifest(each.repository, each.tag) for each in notebooks]
    packed = [{blob["digest"]: blob["size"] for blob in each} for each in manifests if each]
    if len(packed) == len(notebooks):
        once = {digest: size for blobs in packed for digest, size in blobs.items()}
        total = sum(sum(blobs.values()) for blobs in packed)
        figures["packed"] = {
            "sum_bytes": total,
            "stored_bytes": sum(once.values()),
            "ratio": round(sum(once.values()) / total, 3),
        }
    return figures


def _manifest(repository: str, tag: str) -> list[dict[str, int]] | None:
    name = f"{IMAGE_PREFIX.partition('/')[2]}/{repository}"
    with requests.Session() as http:
        http.trust_env = False
        answer = http.get(
            f"{REGISTRY_ADDRESS}/v2/{name}/manifests/{tag}", headers={"Accept": ", ".join(MANIFESTS)}, timeout=30
        )
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    manifest = answer.json()
    return [manifest["config"], *manifest["layers"]]


def _measure_one_package_more(engine: docker.DockerClient, catalog: ImageCatalog) -> Figures:
    """One more package for one Python, in a copy of the images' files, next to the whole matrix in other names."""
    pythons = _pythons(catalog)
    with tempfile.TemporaryDirectory() as name, _removed_afterwards(engine):
        root = Path(name)
        for folder in ("charts", "host-setup"):
            (root / folder).symlink_to(resources.path(folder))
        shutil.copytree(resources.path("images"), root / "images")
        with patch.object(resources, "root", lambda: root):
            _build_notebooks(engine, pythons)  # out of the build cache, where the lab's own came from
            asked = root / "images/base/requirements/base.in"
            asked.write_text(f"{asked.read_text()}{FURTHER_PACKAGE}\n")
            write_locks(load_locks([CHANGED_PYTHON]), SilentReporter())
            began = time.monotonic()
            built = _build_notebooks(engine, pythons)
            seconds = round(time.monotonic() - began, 1)
    return {"seconds": seconds, "rebuilt": {each.name: round(each.seconds, 1) for each in built if each.changed}}


def _build_notebooks(engine: docker.DockerClient, pythons: list[str]) -> list[BuiltImage]:
    return build(NOTEBOOKS, reporter=SilentReporter(), engine=engine, pythons=pythons, registry=REGISTRY)


@contextmanager
def _removed_afterwards(engine: docker.DockerClient) -> Iterator[None]:
    try:
        yield
    finally:
        names = [tag for image in engine.images.list() for tag in image.tags if tag.startswith(f"{REGISTRY}/")]
        for name in names:
            engine.images.remove(name)


def _pythons(catalog: ImageCatalog) -> list[str]:
    return [each.version for each in catalog.pythons.values() if each.origin]
