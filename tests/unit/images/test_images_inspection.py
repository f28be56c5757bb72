# ruff: noqa: D102  the double has the methods of what it stands for
"""What an image is made of: each layer with its instruction, and the bytes that images share by their chains."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kubelab_helpers.errors import BlockedError, InvalidInputError, KubelabError
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.images.inspection import Storage, align, inspect_images, storage_of
from kubelab_helpers.images.presence import require_image

BASE = ("", 80_573_576)
APT = ("RUN /bin/sh -eu -c apt-get update  && apt-get install --yes tini # buildkit", 35_200_508)
# The proxy's history as Docker 20.10 told it, oldest first: the last layer is that of WORKDIR, which has no bytes.
PROXY = [
    BASE,
    ("SHELL [/bin/sh -eu -c]", 0),
    ("RUN /bin/sh -eu -c apt-get update  && apt-get install --yes nodejs # buildkit", 105_248_487),
    ("COPY /opt/proxy /opt/proxy # buildkit", 5_549_842),
    ("RUN /bin/sh -eu -c groupadd --gid 1000 proxy-user # buildkit", 4_389),
    ("ENV NODE_ENV=production", 0),
    ("USER 1000:1000", 0),
    ("WORKDIR /opt/proxy", 0),
    ("EXPOSE map[8000/tcp:{} 8001/tcp:{}]", 0),
    ('ENTRYPOINT ["tini" "-g" "--"]', 0),
    ('CMD ["configurable-http-proxy"]', 0),
]


def history(entries: list[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"CreatedBy": text, "Size": size} for text, size in reversed(entries)]


class Engine:
    """Has images by reference: their history, oldest first, and their layers."""

    def __init__(self, images: dict[str, tuple[list[tuple[str, int]], list[str]]]) -> None:
        self.known = {
            load_catalog().images[name].reference("localhost:5000/kubelab"): it for name, it in images.items()
        }
        self.images = self

    def get(self, reference: str) -> Any:
        from docker.errors import ImageNotFound

        if reference not in self.known:
            raise ImageNotFound(reference)
        return Here(*self.known[reference])


class Here:
    """An image as docker's client gives it."""

    def __init__(self, entries: list[tuple[str, int]], layers: list[str]) -> None:
        self.entries = entries
        config: dict[str, Any] = {
            "User": "1000:100",
            "Env": ["A=b=c"],
            "Entrypoint": None,
            "ExposedPorts": {"8888/tcp": {}},
        }
        self.attrs = {
            "Id": "sha256:1",
            "Created": "2026-11-25T20:00:03Z",
            "Os": "linux",
            "Architecture": "amd64",
            "RootFS": {"Layers": layers},
            "Config": config,
        }

    def history(self) -> list[dict[str, Any]]:
        return history(self.entries)


def inspected(engine: Engine) -> dict[str, Any]:
    return dict(inspect_images(cast("Any", engine), load_catalog().images.values()))


def test_each_layer_has_the_instruction_that_made_it() -> None:
    made = align(history(PROXY), ["base", "apt", "proxy", "user", "folder"])
    assert made == [
        ("(imported root file system)", 80_573_576),
        ("apt-get update  && apt-get install --yes nodejs", 105_248_487),
        ("COPY /opt/proxy /opt/proxy", 5_549_842),
        ("groupadd --gid 1000 proxy-user", 4_389),
        ("WORKDIR /opt/proxy", 0),
    ]


def test_build_arguments_are_no_part_of_an_instruction() -> None:
    text = "RUN |2 PYTHON_VERSION=3.11 PYTHON_KIND=suite /bin/sh -eu -c /opt/python/bin/python3 verify.py # buildkit"
    assert align(history([(text, 0)]), ["one"]) == [("/opt/python/bin/python3 verify.py", 0)]


def test_a_history_that_does_not_fit_the_layers_is_told() -> None:
    with pytest.raises(KubelabError, match="tells 5 instructions for 4 layers"):
        align(history(PROXY), ["base", "apt", "proxy", "user"])


def test_bytes_are_shared_where_all_layers_below_are_the_same() -> None:
    python = ("COPY /opt/python /opt/python # buildkit", 300)
    found = inspected(
        Engine(
            {
                "notebook-py3.11": ([BASE, APT, python], ["base", "apt", "3.11"]),
                "notebook-py3.13": ([BASE, APT, python], ["base", "apt", "3.13"]),
                # The same layer as 3.11's, on another one: an engine stores it again.
                "hub": ([BASE, python], ["base", "3.11"]),
            }
        )
    )
    notebook = found["notebook-py3.11"]
    assert (notebook.own_bytes, notebook.shared_bytes) == (300, BASE[1] + APT[1])
    assert notebook.layers[0].shared_with == ("hub", "notebook-py3.13")
    assert notebook.layers[1].shared_with == ("notebook-py3.13",)
    assert found["hub"].own_bytes == 300
    pythons = storage_of([notebook, found["notebook-py3.13"]])
    assert pythons == Storage(2, 2 * notebook.size_bytes, notebook.size_bytes + 300)
    assert pythons.ratio is not None
    assert 0.5 < pythons.ratio < 0.51
    assert storage_of(found.values()).stored_bytes == BASE[1] + APT[1] + 900


def test_what_is_not_built_is_left_out() -> None:
    assert list(inspected(Engine({"hub": ([BASE], ["base"])}))) == ["hub"]
    assert storage_of([]).ratio is None


def test_configuration_is_told() -> None:
    hub = inspected(Engine({"hub": ([BASE], ["base"])}))["hub"]
    assert (hub.user, hub.ports, hub.environment, hub.entrypoint) == ("1000:100", ("8888/tcp",), {"A": "b=c"}, ())


def test_an_image_that_is_not_built_says_how_to_build_it() -> None:
    with pytest.raises(BlockedError, match=r"hub is not built on this machine \(localhost:5000/kubelab/hub:") as raised:
        require_image(cast("Any", Engine({})), load_catalog().images["hub"])
    assert raised.value.next_step == "kubelab image build hub"


def test_a_name_of_several_images_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="notebook is several images") as raised:
        load_catalog().one("notebook")
    assert "notebook-py3.8" in raised.value.next_step
    assert load_catalog().one("notebook-py3.8").name == "notebook-py3.8"


def test_named_images_come_without_their_parents() -> None:
    catalog = load_catalog()
    assert [each.name for each in catalog.named(["notebook-multi"])] == ["notebook-multi"]
    assert len(catalog.select(["notebook-multi"])) == 7
    assert catalog.named(["notebook-multi"])[0].joined == ("notebook-py3.11", "notebook-py3.13")
