"""containerd's configuration merged: what the kubelet needs wins, what others set stays, in the version it has."""

from __future__ import annotations

import tomllib

import pytest

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.containerd_config import CRI, IMAGES, RUNTIME, merge_config
from kubelab_helpers.hosts.template import render

OWN = render("containerd.toml", pause_image="localhost:5000/kubelab/pause:1", can_lower_oom_score=False).decode()
RUNC = {
    "runtime_type": "io.containerd.runc.v2",
    "options": {"BinaryName": "/usr/local/sbin/runc", "SystemdCgroup": True},
}


def merged(found: str) -> dict[str, object]:
    text = merge_config(found, OWN)
    assert merge_config(text, OWN) == text, "merged twice, it is another"
    return tomllib.loads(text)


@pytest.mark.parametrize("found", [None, OWN, OWN.replace("pause:1", "pause:0")])
def test_what_nobody_else_wrote_is_kubelabs_own(found: str | None) -> None:
    assert merge_config(found, OWN) == OWN


@pytest.mark.parametrize("version", [3, 4])
def test_version_3_keeps_other_settings(version: int) -> None:
    found = f"""
    version = {version}
    root = "/data/containerd"
    disabled_plugins = ["{IMAGES}", "io.containerd.snapshotter.v1.zfs"]
    [plugins."{IMAGES}"]
    snapshotter = "native"
    [plugins."{IMAGES}".registry]
    config_path = "/elsewhere"
    [plugins."{RUNTIME}".containerd]
    default_runtime_name = "nvidia"
    [plugins."{RUNTIME}".containerd.runtimes.runc.options]
    SystemdCgroup = false
    """
    settings = merged(found)
    assert (settings["version"], settings["root"]) == (version, "/data/containerd")
    assert settings["disabled_plugins"] == ["io.containerd.snapshotter.v1.zfs"]
    assert settings["plugins"] == {
        IMAGES: {
            "snapshotter": "native",
            "registry": {"config_path": "/etc/containerd/certs.d"},
            "discard_unpacked_layers": False,
            "pinned_images": {"sandbox": "localhost:5000/kubelab/pause:1"},
        },
        RUNTIME: {
            "containerd": {"default_runtime_name": "nvidia", "runtimes": {"runc": RUNC}},
            "restrict_oom_score_adj": True,
        },
    }


def test_version_2_gets_the_same_by_its_own_names() -> None:
    found = f"""
    version = 2
    disabled_plugins = ["{CRI}"]
    [plugins."{CRI}"]
    sandbox_image = "registry.k8s.io/pause:3.6"
    max_concurrent_downloads = 9
    [plugins."{CRI}".registry.mirrors."docker.io"]
    endpoint = ["https://mirror.example"]
    [plugins."{CRI}".registry.configs."private.example".tls]
    ca_file = "/ca.pem"
    [plugins."{CRI}".registry.configs."private.example".auth]
    username = "anna"
    """
    settings = merged(found)
    assert settings["disabled_plugins"] == []
    assert settings["plugins"] == {
        CRI: {
            "sandbox_image": "localhost:5000/kubelab/pause:1",
            "max_concurrent_downloads": 9,
            "restrict_oom_score_adj": True,
            "registry": {
                "config_path": "/etc/containerd/certs.d",
                "configs": {"private.example": {"auth": {"username": "anna"}}},
            },
            "containerd": {"discard_unpacked_layers": False, "runtimes": {"runc": RUNC}},
        }
    }


def test_a_package_that_turns_the_cri_off_is_turned_on() -> None:
    """As containerd.io's file is: of version 1, and all else in it a comment."""
    settings = merged('#root = "/var/lib/containerd"\ndisabled_plugins = ["cri"]\n')
    assert settings["version"] == 3
    assert "disabled_plugins" not in settings
    assert settings["plugins"] == tomllib.loads(OWN)["plugins"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("version = [", "is not valid TOML"),
        ('[plugins.cri]\nsandbox_image = "x"\n', "has schema version 1, which containerd 2 does not read"),
        ("version = 9\n", "has schema version 9"),
    ],
)
def test_what_cannot_be_merged_is_refused(found: str, said: str) -> None:
    with pytest.raises(BlockedError, match=said) as caught:
        merge_config(found, OWN)
    assert "move it away" in caught.value.next_step
