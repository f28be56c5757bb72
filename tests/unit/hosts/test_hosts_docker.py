"""Docker at plan level: what the probe says, daemon.json merged, where it comes from, what is done to whose."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.docker import DAEMON_FILE, DockerFacts, parse_docker
from kubelab_helpers.hosts.docker_daemon import WANTED, merge_daemon
from kubelab_helpers.hosts.docker_packages import Engine, EnginePackages, Hold, Membership
from kubelab_helpers.hosts.docker_source import RepositoryChoice, Source, choose_source, docker_repository
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.state import FileState, HostState
from kubelab_helpers.hosts.steps.docker import PROXY_FILE, Decision, DockerSpec, decide_docker, may_install

from .support import ids, recorded_facts

# The probe's lines of a Debian 12 host with docker.io, with two containers and a member put in.
RECORDED = """package\tdocker.io 20.10.24+dfsg1-1+deb12u1+b6
package\tcontainerd 1.6.20~ds1-1+deb12u3
package\trunc 1.1.5+ds1-1+deb12u1
dockerd\t/usr/sbin/dockerd
version\t20.10.24+dfsg1
data\t/var/lib/docker
config\t640 0:0
containerd\trunning
unit\t/lib/systemd/system/docker.service
flag\t-H
flag\tfd://
flag\t--containerd=/run/containerd/containerd.sock
flag\t$DOCKER_OPTS
running\tyes
info\tcgroup_driver cgroupfs
info\tlive_restore false
info\tswarm inactive
container\ttheirs running
container\told exited
image\ttheirs:1
group\tdocker
member\talice
user\talice
answers\tno https://download.docker.com/linux/debian/dists/bookworm/InRelease
"""
FLAGS = ("-H", "fd://")


@pytest.fixture
def facts() -> HostFacts:
    return dataclasses.replace(recorded_facts("new-node"), programs=frozenset({"apt-get"}), machine="x86_64")


def merged(text: str | None, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(merge_daemon(text, FLAGS, **options).text)
    return found


def test_probe_says_which_docker_it_is() -> None:
    """The recorded probe gives kind, containers, members and the file's mode."""
    docker = parse_docker(RECORDED)
    assert (docker.kind, docker.running, docker.running_containers) == ("docker.io", True, ("theirs",))
    assert (docker.config_mode, docker.members, docker.users) == (0o640, frozenset({"alice"}), frozenset({"alice"}))
    assert docker.description.endswith("running, 2 containers, 1 images, 0 volumes")
    assert (DockerFacts().kind, DockerFacts(snap="27").kind) == ("none", "snap")
    assert DockerFacts(dockerd="/usr/local/bin/dockerd").kind == "programs"
    assert DockerFacts(packages={"podman-docker": "4"}).kind == "podman"


def test_no_file_gets_everything_and_a_complete_one_stays_as_it_is() -> None:
    """What is complete keeps its bytes, whatever its layout."""
    assert merged(None) == WANTED
    text = json.dumps({**WANTED, "debug": True}, indent=7)
    assert merge_daemon(text, FLAGS).text == text


def test_keys_and_entries_of_the_user_stay() -> None:
    """Foreign keys, list entries and log options survive, in their order, before ours."""
    theirs = {"data-root": "/srv/docker", "insecure-registries": ["r:5000"], "log-opts": {"labels": "x"}}
    found = merged(json.dumps(theirs))
    assert list(found)[:3] == list(theirs)
    assert found["insecure-registries"] == ["r:5000", "localhost:5000"]
    assert found["log-opts"] == {"labels": "x", "max-size": "100m", "max-file": "3"}


@pytest.mark.parametrize(
    ("theirs", "key", "after"),
    [
        ({"exec-opts": ["native.cgroupdriver=cgroupfs"]}, "exec-opts", ["native.cgroupdriver=systemd"]),
        ({"log-driver": "journald"}, "log-driver", "json-file"),
        ({"log-opts": {"max-size": "10m", "max-file": "3"}}, "log-opts", {"max-size": "100m", "max-file": "3"}),
        ({"live-restore": False}, "live-restore", True),
    ],
)
def test_a_conflict_is_kept_and_reported_until_its_key_is_named(theirs: dict[str, Any], key: str, after: Any) -> None:
    """The user's value stays and is told; --change KEY takes kubelab's."""
    text = json.dumps(theirs)
    found = merge_daemon(text, FLAGS)
    assert json.loads(found.text)[key] == theirs[key]
    assert [each.key.partition(".")[0] for each in found.conflicts] == [key]
    asked = merge_daemon(text, FLAGS, {key})
    assert (json.loads(asked.text)[key], asked.conflicts) == (after, ())


def test_another_log_driver_gets_no_options_of_json_file() -> None:
    """The driver journald does not know max-size: dockerd would not start a container with it."""
    found = merge_daemon('{"log-driver": "journald"}', FLAGS)
    assert "log-opts" not in json.loads(found.text)
    assert any("journald" in note for note in found.notes)


def test_what_the_unit_says_is_not_said_twice() -> None:
    """An option on dockerd's command line must not stand in the file."""
    found = merge_daemon(None, ("-H", "fd://", "--log-driver=journald", "--live-restore"))
    settings = json.loads(found.text)
    assert {"log-driver", "live-restore", "log-opts"} & set(settings) == set()
    assert found.live_restore
    with pytest.raises(BlockedError, match="has hosts, and the unit starts dockerd with -H"):
        merge_daemon('{"hosts": ["tcp://0.0.0.0:2375"]}', FLAGS)
    assert "hosts" in merge_daemon('{"hosts": ["fd://"]}', ()).text


def test_a_swarm_gets_no_live_restore() -> None:
    """In a swarm dockerd does not start with live-restore."""
    assert "live-restore" not in merged("{}", swarm=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "debug": true,\n}', "line 3, column 1"),
        ("[]", "no JSON object"),
        ('{"exec-opts": "native.cgroupdriver=systemd"}', "exec-opts must be a list"),
        ('{"live-restore": "yes"}', "live-restore must be true or false"),
    ],
)
def test_a_file_that_dockerd_cannot_read_is_refused(text: str, said: str) -> None:
    """Nothing is merged into what is broken; the place is named."""
    with pytest.raises(BlockedError, match=said):
        merge_daemon(text)


def test_a_key_that_kubelab_does_not_set_cannot_be_changed() -> None:
    """--change takes only kubelab's own keys."""
    with pytest.raises(InvalidInputError, match="does not set data-root"):
        merge_daemon("{}", (), {"data-root"})


def source(facts: HostFacts, docker: DockerFacts, said: str = "no", origin: Any = "auto") -> Source:
    repository = docker_repository(facts, RepositoryChoice())
    assert repository is not None
    return choose_source(facts, dataclasses.replace(docker, answers={repository.asked: said}), origin, repository)


def test_origin_follows_what_answers_and_what_is_there(facts: HostFacts) -> None:
    """auto: Docker CE where its repository answers; what is installed decides before that."""
    assert source(facts, DockerFacts(), "yes").origin == "docker-ce"
    assert source(facts, DockerFacts(), "no").origin == "distribution"
    assert "does not answer" in source(facts, DockerFacts(), "no").why
    assert "could not be asked" in source(facts, DockerFacts(), "unknown").why
    assert source(facts, parse_docker(RECORDED), "yes").origin == "distribution"
    assert source(facts, DockerFacts(packages={"docker-ce": "5:29"}), "no").origin == "docker-ce"


@pytest.mark.parametrize(
    ("release", "plugins", "wrapper"),
    [
        ({"os_version": "12"}, ("docker-compose",), False),
        ({"os_version": "13"}, ("docker-compose", "docker-buildx"), False),
        ({"os_id": "ubuntu", "os_version": "24.04"}, ("docker-compose-v2",), True),
    ],
)
def test_compose_of_each_distribution(
    facts: HostFacts, release: dict[str, Any], plugins: tuple[str, ...], wrapper: bool
) -> None:
    """A package brings `docker-compose`, or a wrapper does; a lack of `docker compose` is told with its remedy."""
    found = source(dataclasses.replace(facts, **release), DockerFacts(), origin="distribution")
    assert (found.plugins, found.standalone_wrapper) == (plugins, wrapper)
    assert bool(found.notes) == (release["os_version"] == "12")


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"os_id": "debian"}, "https://download.docker.com/linux/debian/dists/bookworm/InRelease"),
        ({"os_id": "ubuntu", "codename": "noble"}, "https://download.docker.com/linux/ubuntu/dists/noble/InRelease"),
        (
            {"os_id": "rocky", "os_version": "9.4", "codename": "", "programs": frozenset({"dnf"})},
            "https://download.docker.com/linux/rhel/9/x86_64/stable/repodata/repomd.xml",
        ),
    ],
)
def test_repository_of_each_distribution(facts: HostFacts, changes: dict[str, Any], asked: str) -> None:
    """The URL that must answer, by distribution."""
    found = docker_repository(dataclasses.replace(facts, **changes), RepositoryChoice())
    assert found is not None
    assert found.asked == asked


def test_a_distribution_without_docker_is_refused_with_the_way_out(facts: HostFacts) -> None:
    """RHEL has no Docker of its own: Docker CE's repository or a mirror."""
    rhel = dataclasses.replace(facts, os_id="rhel", os_version="9.4", programs=frozenset({"dnf"}))
    with pytest.raises(BlockedError, match=r"no Docker in the packages of rhel 9\.4") as caught:
        source(rhel, DockerFacts(), "no")
    assert "--repository" in caught.value.next_step


def decide(facts: HostFacts, docker: DockerFacts, *, ours: bool = False, key: bytes = b"", **wanted: Any) -> Decision:
    spec = DockerSpec(**wanted)
    chosen = source(facts, docker, origin=spec.origin) if may_install(docker, spec, ours=ours) else None
    return decide_docker(facts, docker, spec, chosen, key, ours=ours)


def test_a_bare_host_gets_everything_in_order(facts: HostFacts) -> None:
    """The settings come before the packages, whose first start then reads them; compose's lack is told."""
    found = decide(facts, DockerFacts(users=frozenset({"alice"})), users=("alice",))
    expected = ["docker:traces", f"file:{DAEMON_FILE}", "packages:docker", "hold:docker"]
    assert ids(found.changes) == [*expected, "member:docker:alice", "unit:docker"]
    assert any("docker compose" in note and "--compose-program" in note for note in found.notes)


def test_docker_ce_has_its_key_and_list_first(facts: HostFacts) -> None:
    """The repository is there before the packages, by its key alone."""
    found = decide(facts, DockerFacts(), origin="docker-ce", key=b"KEY")
    listing = found.changes[2].change
    assert ids(found.changes)[1:3] == [
        "file:/etc/apt/keyrings/kubelab-docker.asc",
        "file:/etc/apt/sources.list.d/kubelab-docker.list",
    ]
    line = "deb [arch=amd64 signed-by=/etc/apt/keyrings/kubelab-docker.asc] https://download.docker.com/linux/debian"
    assert line.encode() in listing.content  # type: ignore[attr-defined]  # a File
    assert "file:/usr/local/bin/docker-compose" in ids(found.changes)


def test_foreign_docker_is_left_alone_unless_asked(facts: HostFacts) -> None:
    """Nothing without a word; settings with --configure; packages only with --replace, after a backup."""
    docker = dataclasses.replace(parse_docker(RECORDED), config=False)
    assert decide(facts, docker).changes == ()
    configured = decide(facts, docker, configure=True)
    assert ids(configured.changes) == [f"file:{DAEMON_FILE}", "unit:docker"]
    assert "go on running: theirs" in " ".join(configured.notes)
    replaced = decide(facts, docker, replace=True, origin="docker-ce")
    assert ids(replaced.changes)[0] == "action:docker-backup"
    packages = next(each.change for each in replaced.changes if isinstance(each.change, EnginePackages))
    assert packages.absent == ("docker.io", "containerd", "runc")
    assert "these containers stop: theirs" in replaced.notes


def test_what_cannot_be_replaced_is_refused(facts: HostFacts) -> None:
    """A snap, programs of no package, and a Kubernetes node: each with the way out."""
    for docker in (DockerFacts(snap="27.2"), DockerFacts(dockerd="/usr/local/bin/dockerd")):
        with pytest.raises(BlockedError, match=r"snap|no package owns it"):
            decide(facts, docker, replace=True)
    node = dataclasses.replace(facts, effects=frozenset({"kubernetes_node"}))
    with pytest.raises(BlockedError, match="is a Kubernetes node"):
        decide(node, DockerFacts())


def test_the_parser_comes_with_apparmor(facts: HostFacts) -> None:
    """The kernel's AppArmor decides, nothing else."""
    found = decide(dataclasses.replace(facts, apparmor=True), DockerFacts())
    packages = next(each.change for each in found.changes if isinstance(each.change, EnginePackages))
    assert "apparmor" in packages.names


def test_the_proxy_is_for_root_alone_and_not_in_the_plan(facts: HostFacts) -> None:
    """A password in a proxy's URL stands in a file of mode 0600 and in no summary; % and quotes are systemd's."""
    found = decide(facts, DockerFacts(), proxies={"HTTPS_PROXY": 'http://u:p%40"ss@proxy.example:3128'})
    drop_in = next(each.change for each in found.changes if each.change.id == f"file:{PROXY_FILE}")
    assert (drop_in.mode, "p%40" in drop_in.summary) == (0o600, False)  # type: ignore[attr-defined]  # a File
    line = b'Environment="HTTPS_PROXY=http://u:p%%40\\"ss@proxy.example:3128"'
    assert line in drop_in.content  # type: ignore[attr-defined]  # a File


def test_packages_are_so_by_name_and_version() -> None:
    """A missing, another or an unwanted package makes the change missing; its undo names its own transaction."""
    change = EnginePackages("apt", ("docker.io", "runc"), "2.0", ("docker.io",), absent=("docker-engine",))
    good = HostState(packages={"docker.io": "2.0", "runc": "1"})
    assert change.satisfied_by(good)
    assert not change.satisfied_by(HostState(packages={"docker.io": "1.9", "runc": "1"}))
    assert not change.satisfied_by(HostState(packages={**good.packages, "docker-engine": "1"}))
    assert change.operations()[-1].argv[-3:] == ("docker.io=2.0", "runc", "docker-engine-")
    first = FileState("x", "644", "0:0")
    before = HostState(files={"/var/lib/kubelab/docker/packages.1.after": first})
    assert [change.undo(each)[0].argv[-1] for each in (HostState(), before)] == ["1", "2"]


def test_undo_gives_back_only_what_was_not_so() -> None:
    """A hold and a membership that were there stay; an engine that ran is not stopped."""
    hold = Hold("dnf", ("docker-ce", "containerd.io"))
    assert hold.undo(HostState(held=frozenset({"docker-ce"})))[0].argv[-2:] == ("delete", "containerd.io")
    assert hold.undo(HostState(held=frozenset(hold.names))) == ()
    assert Membership("alice", member=True).satisfied_by(HostState())
    active = HostState(units={"docker": ("active", "enabled")}, stamps={"unit-docker": "old"})
    assert all("stop" not in command.argv for command in Engine("docker", "new").undo(active))
    assert "stop" in Engine("docker", "new").undo(HostState())[0].argv
