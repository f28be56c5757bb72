"""What users' servers start from is pulled onto the nodes where one may run: a DaemonSet for each such set of nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubelab_helpers.cluster.placement import Placement
from kubelab_helpers.release.deploy import find_placements

from .conftest import Manifest, Render

DIGEST = "sha256:" + "1" * 64
GPU = {"example.org/gpu": "true"}
TOLERATION = {"key": "example.org/gpu", "operator": "Exists", "effect": "NoSchedule"}
USERS = {"key": "hub.jupyter.org/dedicated", "operator": "Equal", "value": "user", "effect": "NoSchedule"}
DEFAULT_IMAGES = ["localhost:5000/kubelab/notebook:0.1.0-py3.13", "localhost:5000/kubelab/notebook:0.1.0-py3.11"]
OTHER = "registry.example/other:1"


def profile(**override: Any) -> dict[str, Any]:
    """An entry of singleuser.profileList."""
    return {"display_name": "other", "kubespawner_override": override}


def pod_of(daemon_set: Manifest) -> Manifest:
    """The pod that a DaemonSet makes."""
    spec: Manifest = daemon_set["spec"]["template"]["spec"]
    return spec


def pulled(daemon_set: Manifest) -> list[str]:
    """The images of a DaemonSet's init containers, in order."""
    return [each["image"] for each in pod_of(daemon_set)["initContainers"]]


def by_selector(rendered: Render) -> dict[str, list[str]]:
    """The images by the node selector that they are pulled under, written in one text; one DaemonSet each."""
    sets = rendered.all("DaemonSet")
    found = {
        ",".join(f"{key}={value}" for key, value in pod_of(each).get("nodeSelector", {}).items()): pulled(each)
        for each in sets
    }
    assert len(found) == len(sets)
    return found


def test_every_python_is_pulled_the_default_one_first(render: Callable[..., Render]) -> None:
    pythons = [{"version": "3.8"}, {"version": "3.13", "default": True, "image": {"digest": DIGEST}}]
    names = {each["metadata"]["name"]: pulled(each) for each in render({"pythons": pythons}).all("DaemonSet")}
    images = [f"{DEFAULT_IMAGES[0]}@{DIGEST}", "localhost:5000/kubelab/notebook:0.1.0-py3.8"]
    assert names == {"jupyterhub-image-puller": images}


def test_each_set_of_nodes_has_its_own(render: Callable[..., Render]) -> None:
    """A profile without an image has the default one, and those that differ in tolerations alone are apart too."""
    profiles = [
        profile(image=OTHER, node_selector=GPU, tolerations=[TOLERATION]),
        profile(node_selector=GPU, tolerations=[TOLERATION]),
        profile(image=OTHER),
        profile(mem_limit="8G"),
        profile(image=OTHER, tolerations=[TOLERATION]),
    ]
    rendered = render({"singleuser": {"profileList": profiles, "extraTolerations": [{"key": "users"}]}})
    sets = {each["metadata"]["name"]: each for each in rendered.all("DaemonSet")}
    found = {
        (tuple(pod_of(each).get("nodeSelector", {})), pod_of(each)["tolerations"][-1]["key"]): pulled(each)
        for each in sets.values()
    }
    assert found == {
        ((), "users"): [*DEFAULT_IMAGES, OTHER],
        ((), "example.org/gpu"): [OTHER],
        (("example.org/gpu",), "example.org/gpu"): [OTHER, DEFAULT_IMAGES[0]],
    }
    assert len(sets) == 3
    selectors = {tuple(sorted(each["spec"]["selector"]["matchLabels"].items())) for each in sets.values()}
    assert len(selectors) == 3
    for each in sets.values():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_another_profile_renames_none(render: Callable[..., Render]) -> None:
    """A DaemonSet of another name pulls and starts anew on every node."""
    one, two = profile(node_selector=GPU), profile(node_selector={"disk": "fast"})
    before, after = (render({"singleuser": {"profileList": each}}).all("DaemonSet") for each in ([one], [two, one]))
    assert len(after) == len(before) + 1
    assert {each["metadata"]["name"] for each in before} < {each["metadata"]["name"] for each in after}


def test_a_profiles_selector_is_merged_as_kubespawner_merges_it(render: Callable[..., Render]) -> None:
    """A key that it sets to null is gone; https://jupyterhub-kubespawner.readthedocs.io says so of dictionaries."""
    selector = {"zone": "a", "pool": "users"}
    profiles = [profile(image=OTHER, node_selector={"zone": None, "gpu": True})]
    rendered = render({"singleuser": {"nodeSelector": selector, "profileList": profiles}})
    assert by_selector(rendered) == {"pool=users,zone=a": DEFAULT_IMAGES, "gpu=true,pool=users": [OTHER]}


def test_the_choices_of_a_profiles_options_are_pulled_where_they_lead(render: Callable[..., Render]) -> None:
    """Each image with each kind of node that can be chosen beside it, and no other."""

    def choices(**overrides: dict[str, Any]) -> dict[str, Any]:
        return {name: {"display_name": name, "kubespawner_override": each} for name, each in overrides.items()}

    options = {
        "image": {"choices": choices(a={"image": "registry.example/a:1"}, b={"image": "registry.example/b:1"})},
        "node": {"choices": choices(small={}, gpu={"node_selector": GPU})},
        "memory": {"unlisted_choice": {"enabled": True, "kubespawner_override": {"mem_limit": "{value}"}}},
    }
    rendered = render({"singleuser": {"profileList": [{"display_name": "x", "profile_options": options}]}})
    assert by_selector(rendered) == {
        "": [*DEFAULT_IMAGES, "registry.example/a:1", "registry.example/b:1"],
        "example.org/gpu=true": ["registry.example/a:1", "registry.example/b:1"],
    }


def test_profiles_can_be_left_out_and_further_images_named(render: Callable[..., Render]) -> None:
    values = {
        "singleuser": {"profileList": [profile(image=OTHER)], "nodeSelector": {"pool": "users"}},
        "prePuller": {
            "pullProfileListImages": False,
            "extraImages": {
                "b": {"name": "quay.io/some/image", "tag": "2", "nodeSelector": GPU},
                "a": {"name": "quay.io/some/image", "tag": "1", "digest": DIGEST},
                "c": {"name": "quay.io/some/image", "tag": "3", "nodeSelector": {}},
            },
        },
    }
    assert by_selector(render(values)) == {
        "pool=users": [*DEFAULT_IMAGES, f"quay.io/some/image:1@{DIGEST}"],
        "example.org/gpu=true": ["quay.io/some/image:2"],
        "": ["quay.io/some/image:3"],
    }


def test_nothing_waits_for_it(scenario: Render) -> None:
    """It is no hook, has no probe, and requests nothing, so that a full node is no reason to go without."""
    for each in scenario.all("DaemonSet"):
        assert "annotations" not in each["metadata"]
        for container in [*pod_of(each)["initContainers"], *pod_of(each)["containers"]]:
            assert container["resources"]["requests"] == {"cpu": 0, "memory": 0}
            assert "readinessProbe" not in container


def test_what_it_starts_ends_at_once_and_needs_no_shell(scenario: Render) -> None:
    for each in scenario.all("DaemonSet"):
        assert [container["command"] for container in pod_of(each)["initContainers"]] == [["true"]] * len(pulled(each))
        assert [container["command"] for container in pod_of(each)["containers"]] == [["sleep", "infinity"]]


def test_nodes_change_over_a_few_at_a_time(render: Callable[..., Render]) -> None:
    """A number by default, or a percentage."""
    for value in (3, "40%"):
        rendered = render({"prePuller": {"continuous": {"maxUnavailable": value}}})
        strategy = rendered.get("DaemonSet", "jupyterhub-image-puller")["spec"]["updateStrategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": value}}


def test_taints_of_the_nodes_are_tolerated_as_the_servers_tolerate_them(render: Callable[..., Render]) -> None:
    values = {
        "singleuser": {"extraTolerations": [TOLERATION]},
        "prePuller": {"extraTolerations": [{"key": "warming-up", "operator": "Exists"}]},
    }
    pod = pod_of(render(values).get("DaemonSet", "jupyterhub-image-puller"))
    assert pod["tolerations"] == [USERS, TOLERATION, {"key": "warming-up", "operator": "Exists"}]


def test_kubelab_reads_from_it_what_belongs_where(render: Callable[..., Render]) -> None:
    """The chart alone says so; kubelab's own pulls and the DaemonSets cannot differ."""
    profiles = [profile(image=OTHER, node_selector=GPU, tolerations=[TOLERATION])]
    found = find_placements(render({"singleuser": {"profileList": profiles}}).objects)
    assert sorted(found, key=lambda each: each.images) == [
        Placement(tuple(DEFAULT_IMAGES), tolerations=(USERS,)),
        Placement((OTHER,), GPU, (TOLERATION,)),
    ]


def test_switched_off_nothing_of_it_is_there(render: Callable[..., Render]) -> None:
    rendered = render({"prePuller": {"continuous": {"enabled": False}}})
    assert rendered.all("DaemonSet") == []
    assert "image-puller" not in rendered.text


def test_the_longest_release_name_leaves_room(render: Callable[..., Render]) -> None:
    """Names of 63 characters at most, which can be a label's value and a host's name too."""
    rendered = render({"singleuser": {"profileList": [profile(node_selector=GPU)]}}, release="a" * 40)
    lengths = [len(each["metadata"]["name"]) for each in rendered.all("DaemonSet")]
    assert len(lengths) == 2
    assert max(lengths) <= 63
