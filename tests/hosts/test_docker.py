"""Docker on real hosts: installed, tried with containers, left alone, replaced from a signed repository, put back."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers.errors import BlockedError, InvalidInputError, PartlyDoneError
from kubelab_helpers.hosts.command import CommandError
from kubelab_helpers.hosts.docker import DAEMON_FILE, probe_docker
from kubelab_helpers.hosts.docker_engine import (
    install_docker,
    read_docker_plan,
    read_uninstall,
    try_docker,
    uninstall_docker,
)
from kubelab_helpers.hosts.docker_source import RepositoryChoice
from kubelab_helpers.hosts.steps.docker import DockerSpec
from kubelab_helpers.result import SilentReporter

from .docker_repository import SignedRepository, make_key
from .machines import Machine, bare_hosts

pytestmark = pytest.mark.slow
SUBNET = "172.30.233.0/24"
THEIRS = {"max-concurrent-downloads": 2, "insecure-registries": ["registry.example:5000"], "log-opts": {"labels": "x"}}
WRITE = 'mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"'
# What a rollback must give back: packages, users' groups, units, the tables, bridges, and the files below these.
LOOK = """
dpkg-query --show --showformat='${db:Status-Abbrev} ${Package} ${Version}\\n'
apt-mark showhold
getent group docker || echo no group
systemctl list-unit-files 'docker*' 'containerd*' --no-legend || true
iptables-save 2>/dev/null | grep -v DOCKER_ | sed 's/\\[.*//' | grep -e ^-A -e DOCKER -e 'FORWARD DROP' || true
ip -o link show | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/' | grep -v ^veth
cat /proc/sys/net/ipv4/ip_forward
find /etc/docker /etc/systemd/system /etc/apt /usr/local /var/lib/docker /var/lib/containerd /run/docker \\
    /run/containerd -maxdepth 1 ! -name .placeholder 2>/dev/null | sort
cat /etc/docker/daemon.json 2>/dev/null || echo no daemon.json
"""


@pytest.fixture
def repository(tmp_path: Path) -> SignedRepository:
    return SignedRepository(tmp_path / "repository")


@pytest.fixture
def host(repository: SignedRepository) -> Iterator[Machine]:
    with bare_hosts("kl4k", SUBNET, ["docker"], mounts=[(str(repository.folder), "/srv/repository")]) as hosts:
        yield hosts[0]


def look(host: Machine) -> list[str]:
    return host.shell(LOOK).splitlines()


def changes_since(before: list[str], host: Machine) -> list[str]:
    """Return the lines that came (+) and went (-)."""
    return [line for line in difflib.ndiff(before, look(host)) if line[0] in "+-"]


def install(host: Machine, **wanted: Any) -> int:
    return install_docker(host.runner, DockerSpec(**{"plugins": False, **wanted}), SilentReporter())[1]


def uninstall(host: Machine, **options: bool) -> int:
    purge = {key: value for key, value in options.items() if key == "purge_data"}
    return uninstall_docker(host.runner, read_uninstall(host.runner, **options), SilentReporter(), **purge)


def settings(host: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.run("cat", DAEMON_FILE))
    return found


def works(host: Machine) -> dict[str, str]:
    return {each.name: each.outcome for each in try_docker(host.runner)}


def start_container(host: Machine, name: str) -> int:
    """Start a container of the host's own sleep, and return its process."""
    host.shell(
        'root=$(mktemp -d); libraries=$(ldd "$(command -v sleep)" | grep -o "/[^ ]*")\n'
        'tar -ch -C / usr/bin/sleep $(for each in $libraries; do echo "${each#/}"; done) | docker import - theirs:1\n'
        'docker run --detach --stop-timeout 1 --name "$1" theirs:1 /usr/bin/sleep 3600',
        name,
    )
    return process_of(host, name)


def process_of(host: Machine, name: str) -> int:
    return int(host.run("docker", "inspect", "--format", "{{.State.Pid}}", name))


WORKING = ("daemon", "status", "output", "address", "log_driver", "log_max_size", "log_max_file", "cgroup_driver")
LASTING = ("cgroup_scope", "insecure_registry", "live_restore", "removed")


def test_bare_host_gets_docker_and_loses_it_again(host: Machine) -> None:
    """Docker is installed and works, a second install changes nothing, and the rollback leaves no trace."""
    host.run("useradd", "alice")
    host.shell(WRITE, DAEMON_FILE, json.dumps(THEIRS))
    # The package lists are a cache of apt's.
    before = look(host)
    with pytest.raises(InvalidInputError, match="no user nobody-here"):
        install(host, users=("nobody-here",))
    assert install(host, users=("alice",)) > 0
    assert settings(host) == {
        **THEIRS,
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "json-file",
        "log-opts": {"labels": "x", "max-size": "100m", "max-file": "3"},
        "live-restore": True,
        "insecure-registries": ["registry.example:5000", "localhost:5000"],
    }
    seen = works(host)
    assert {each: seen.get(each) for each in WORKING + LASTING} == dict.fromkeys(WORKING + LASTING, "yes")
    assert host.run("su", "alice", "-c", "docker ps --quiet") == ""
    assert "docker.io" in host.run("apt-mark", "showhold")
    assert install(host, users=("alice",)) == 0

    assert uninstall(host) > 0
    assert changes_since(before, host) == []


def test_uninstall_keeps_the_data_unless_it_is_to_go(host: Machine) -> None:
    """Images and containers outlive an uninstall, and a second Docker finds them; --purge-data removes them."""
    install(host)
    start_container(host, "theirs")
    uninstall(host)
    assert host.shell("command -v docker || echo gone") == "gone\n"
    install(host)
    assert "theirs:1" in host.run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    host.shell(WRITE, DAEMON_FILE, "{ oops")
    with pytest.raises(BlockedError, match="JSON: line 1, column 3"):
        install(host)
    host.shell(WRITE, DAEMON_FILE, "{}")
    with pytest.raises(BlockedError, match=f"changed by someone else .*{DAEMON_FILE}"):
        uninstall(host)
    uninstall(host, keep_changed=True)
    assert host.run("cat", DAEMON_FILE) == "{}"


def test_purging_removes_the_data_of_a_docker_of_ours(host: Machine) -> None:
    """--purge-data removes /var/lib/docker where kubelab brought the Docker."""
    install(host)
    start_container(host, "theirs")
    uninstall(host, purge_data=True)
    assert host.shell("[ ! -e /var/lib/docker ] && [ ! -e /var/lib/containerd ] && echo gone") == "gone\n"


def test_foreign_docker_is_left_alone_configured_when_asked_and_replaced_when_asked(
    host: Machine, repository: SignedRepository
) -> None:
    """Someone's Docker with a running container: not touched; configured under it; replaced; and put back."""
    host.shell("apt-get -qq update; apt-get -qq --yes --no-install-recommends install docker.io", timeout_seconds=300)
    theirs = {"exec-opts": ["native.cgroupdriver=cgroupfs"], "max-concurrent-downloads": 2}
    host.shell(WRITE, DAEMON_FILE, json.dumps(theirs))
    host.run("systemctl", "restart", "docker")
    process = start_container(host, "theirs")
    before = look(host)

    decided = read_docker_plan(host.runner, DockerSpec())
    assert (decided.plan.changes, "left alone" in decided.decision.notes[0]) == ((), True)
    assert install(host) == 0
    assert (changes_since(before, host), process_of(host, "theirs")) == ([], process)

    decided = read_docker_plan(host.runner, DockerSpec(configure=True))
    assert [each.key for each in decided.decision.conflicts] == ["exec-opts"]
    install(host, configure=True, change=frozenset({"exec-opts"}))
    assert process_of(host, "theirs") == process, "dockerd was restarted under the container"
    assert probe_docker(host.runner).info["cgroup_driver"] == "systemd"
    assert settings(host)["max-concurrent-downloads"] == 2
    assert install(host, configure=True) == 0
    with pytest.raises(BlockedError, match="not of a Docker that kubelab brought"):
        uninstall(host, purge_data=True)
    uninstall(host)
    assert changes_since(before, host) == []
    host.run("docker", "start", "theirs")  # without live-restore, as they had it, the restart ended it

    replace_by_docker_ce(host, repository)
    uninstall(host)
    assert changes_since(before, host) == []
    assert host.run("docker", "image", "ls", "--quiet", "theirs:1"), "the data stayed through it all"


def replace_by_docker_ce(host: Machine, repository: SignedRepository) -> None:
    """Replace docker.io by packages under Docker CE's names: first with a wrong signature, then with the right one."""
    repository.fill(host)
    good, other = make_key(), make_key()
    repository.sign(other)
    key = repository.folder / "key.asc"
    key.write_bytes(good.public)
    choice = RepositoryChoice("file:///srv/repository", key.as_uri(), good.fingerprint)

    wrong = RepositoryChoice("file:///srv/repository", key.as_uri(), other.fingerprint)
    with pytest.raises(BlockedError, match=f"has the fingerprint {good.fingerprint}"):
        install(host, origin="docker-ce", replace=True, repository=wrong)
    with pytest.raises(PartlyDoneError, match=r"not signed|NO_PUBKEY|not available"):
        install(host, origin="docker-ce", replace=True, repository=choice)
    assert "docker.io" in probe_docker(host.runner).packages
    repository.sign(good)
    install(host, origin="docker-ce", replace=True, repository=choice)

    found = probe_docker(host.runner)
    assert (found.kind, "docker.io" in found.packages, "theirs:1" in found.images) == ("docker-ce", False, True)
    assert "daemon.json" in host.shell("tar -tzf /var/lib/kubelab/backups/docker-*.tar.gz")
    # The packages' programs are Debian's, whose conflict in daemon.json (cgroupfs) nobody asked to settle.
    assert {name for name, outcome in works(host).items() if outcome == "no"} == {"cgroup_driver", "cgroup_scope"}
    assert install(host, origin="docker-ce", repository=choice) == 0


def test_a_version_that_is_not_there_is_refused_and_the_earlier_stays(host: Machine) -> None:
    """A version that no repository has: apt's reason is shown, and the Docker that was there goes on."""
    install(host)
    with pytest.raises(PartlyDoneError, match=r"Version '0\.0\.1' for 'docker\.io' was not found"):
        install(host, version="0.0.1")
    assert works(host)["status"] == "yes"
    uninstall(host)
    with pytest.raises(CommandError):
        host.run("docker", "--version")


def test_command_line_with_compose(python_image: str) -> None:
    """Who types the commands on the host gets the plan, Docker with compose, the trial, and the host back."""
    with bare_hosts("kl4k", SUBNET, ["docker"], python_image) as hosts:
        host = hosts[0]
        before = look(host)
        plan = json.loads(host.run("kubelab-host", "docker", "plan", "--from", "distribution", "-o", "json"))
        assert "packages:docker" in [each["id"] for each in plan["changes"]]
        assert any("no package for it" in note for note in plan["notes"]), "Debian 12 has no compose plugin"
        assert changes_since(before, host) == []
        host.run("kubelab-host", "docker", "install", "--from", "distribution", timeout_seconds=600)
        assert "Nothing is to be done." in host.run("kubelab-host", "docker", "install")
        seen = json.loads(host.run("kubelab-host", "docker", "test", "-o", "json"))["checks"]
        compose = {each["name"]: each["outcome"] for each in seen if each["name"].startswith("compose")}
        assert compose == {"compose_plugin": "skipped", "compose_standalone": "yes"}
        assert json.loads(host.run("kubelab-host", "docker", "status", "-o", "json"))["kind"] == "docker.io"
        host.run("kubelab-host", "docker", "uninstall", "--yes")
        assert changes_since(before, host) == []
