"""Docker on a host: left alone, configured, installed or replaced. Pure: facts and wishes in, changes and notes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.change import BACKUPS, Action, Change, stamp_of
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.docker import DAEMON_FILE, DockerFacts
from kubelab_helpers.hosts.docker_daemon import Conflict, Merged, merge_daemon
from kubelab_helpers.hosts.docker_packages import Engine, EnginePackages, Hold, Membership, Traces
from kubelab_helpers.hosts.docker_source import Origin, Repository, RepositoryChoice, Source
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import File, Program
from kubelab_helpers.hosts.plan import PlannedChange
from kubelab_helpers.hosts.spec import LocalProgram
from kubelab_helpers.hosts.state import HostState
from kubelab_helpers.hosts.template import render

STEP = "docker"
KEYS = {"apt": "/etc/apt/keyrings/kubelab-docker.asc", "dnf": "/etc/pki/rpm-gpg/kubelab-docker.asc"}
LISTS = {"apt": "/etc/apt/sources.list.d/kubelab-docker.list", "dnf": "/etc/yum.repos.d/kubelab-docker.repo"}
PROXY_FILE = "/etc/systemd/system/docker.service.d/kubelab-proxy.conf"
COMPOSE_PLUGIN = "/usr/local/lib/docker/cli-plugins/docker-compose"
COMPOSE_WRAPPER = "/usr/local/bin/docker-compose"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Not /var/lib/docker: that stays where it is.
_BACK_UP = """set -eu
umask 077
mkdir -p "$(dirname "$1")"
list=$(mktemp -d)
{ dpkg-query --show 2>/dev/null || rpm --query --all; } > "$list/packages.txt"
set -- "$1.partial" "$1"
tar --create --gzip --file "$1" --ignore-failed-read --directory "$list" packages.txt --directory / \\
    $(for each in etc/docker etc/default/docker etc/sysconfig/docker etc/systemd/system/docker.service \\
    etc/systemd/system/docker.service.d etc/systemd/system/docker.socket.d; do [ ! -e "/$each" ] || echo "$each"; done)
mv "$1" "$2"
rm -rf "$list"
"""


@dataclass(frozen=True)
class DockerSpec:
    """What a person asked for. `change`: keys of daemon.json whose conflicts kubelab settles its way."""

    origin: Origin = "auto"
    version: str = ""
    replace: bool = False
    configure: bool = False
    change: frozenset[str] = frozenset()
    users: tuple[str, ...] = ()
    plugins: bool = True
    hold: bool = True
    compose: LocalProgram | None = None
    proxies: dict[str, str] = field(default_factory=dict, repr=False)
    """HTTP_PROXY and the like, for the daemon; may hold a password."""
    repository: RepositoryChoice = field(default_factory=RepositoryChoice)


@dataclass(frozen=True)
class Decision:
    """Everything that must be so, in order, and what a person should know before it is."""

    changes: tuple[PlannedChange, ...]
    notes: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class MergedFile(File):
    """A file that others write too and that was merged, not overwritten: what they changed since is in it."""

    def refused_by(self, state: HostState) -> str | None:
        """Say only what cannot be a file."""
        found = state.files.get(self.path)
        return f"{self.path} is a directory" if found and found.sha256 == "directory" else None


def decide_docker(
    facts: HostFacts, docker: DockerFacts, wanted: DockerSpec, source: Source | None, key: bytes, *, ours: bool
) -> Decision:
    """Return what must be so. `ours`: whether kubelab installed the Docker that is there; `source` None: no packages.

    BlockedError or InvalidInputError before anything is touched.
    """
    for user in wanted.users:
        if user not in docker.users:
            raise InvalidInputError(f"there is no user {user} on {facts.hostname}", next_step=f"useradd {user}")
    members: list[Change] = [Membership(user, user in docker.members) for user in wanted.users]
    if source is None:
        return _configure(facts, docker, wanted, members)
    _require_replaceable(facts, docker, ours=ours)
    merged = _merge(facts, docker, wanted)
    foreign = docker.kind != "none" and not ours
    changes = [
        *([back_up(docker)] if foreign else []),
        *([Traces()] if docker.kind == "none" else []),
        *(_repository(facts, source.repository, key) if source.repository else ()),
        _daemon_file(docker, merged),
        _packages(docker, wanted, source),
        *([Hold(source.family, source.engine)] if wanted.hold else []),
        *_compose(wanted, source),
        *_proxy(wanted),
        *members,
        _engine(wanted, merged),
    ]
    notes = [f"Docker comes from {source.origin}: {source.why}", *_affected(docker, foreign), *merged.notes]
    notes += source.notes if wanted.plugins and not wanted.compose else ()
    return Decision(_planned(changes), tuple(notes), merged.conflicts)


def may_install(docker: DockerFacts, wanted: DockerSpec, *, ours: bool) -> bool:
    """Return whether packages are to be looked after: nothing is there, it is ours, or it is to be replaced."""
    return docker.kind == "none" or ours or wanted.replace


def _planned(changes: list[Change]) -> tuple[PlannedChange, ...]:
    return tuple(PlannedChange(STEP, change) for change in changes)


def _configure(facts: HostFacts, docker: DockerFacts, wanted: DockerSpec, members: list[Change]) -> Decision:
    """A Docker of others: left alone, or its settings merged when that was asked."""
    if not wanted.configure:
        note = f"{docker.description}: it is left alone; --configure merges its settings, --replace replaces it"
        return Decision(_planned(members), (note,))
    if docker.kind in {"snap", "podman"}:
        raise BlockedError(f"{docker.description} does not read {DAEMON_FILE}", next_step="leave out --configure")
    merged = _merge(facts, docker, wanted)
    proxy = _proxy(wanted)
    touched = bool(merged.added or merged.changed or proxy)
    changes = [_daemon_file(docker, merged), *proxy, *members, *([_engine(wanted, merged)] if touched else [])]
    if not docker.config and not touched:
        changes = members
    notes = [f"{docker.description}: its settings are merged, its packages stay", *merged.notes]
    if touched and docker.running_containers:
        names = ", ".join(docker.running_containers)
        fate = "go on running" if merged.live_restore else "are STOPPED, because live-restore is off"
        notes.append(f"dockerd is restarted; the containers {fate}: {names}")
    return Decision(_planned(changes), tuple(notes), merged.conflicts)


def _require_replaceable(facts: HostFacts, docker: DockerFacts, *, ours: bool) -> None:
    if ours:
        return
    if docker.kind == "snap":
        raise BlockedError(
            f"{docker.description}: its images and volumes live in the snap, so that kubelab does not remove it",
            next_step="save what you need, `snap remove docker`, then run the same command again",
        )
    if docker.kind == "programs":
        raise BlockedError(
            f"{docker.description}: no package owns it, so that it could not be put back",
            next_step="remove the programs and their units yourself, then run the same command again",
        )
    if "kubernetes_node" in facts.effects or "kubelet" in facts.active_units:
        raise BlockedError(
            f"{facts.hostname} is a Kubernetes node: Docker's packages bring a containerd of their own under its pods",
            next_step="put Docker on another host, or on this one before Kubernetes",
        )


def _merge(facts: HostFacts, docker: DockerFacts, wanted: DockerSpec) -> Merged:
    text = facts.contents.get(DAEMON_FILE)
    if docker.config and text is None:
        raise BlockedError(f"{DAEMON_FILE} cannot be read whole", next_step="make it a file below 256 KiB")
    # The packages' unit, not there yet, gives -H too.
    flags = docker.flags or ("-H", "fd://")
    return merge_daemon(text, flags, wanted.change, swarm=docker.info.get("swarm", "inactive") != "inactive")


def _daemon_file(docker: DockerFacts, merged: Merged) -> Change:
    return MergedFile(DAEMON_FILE, merged.text.encode(), docker.config_mode, docker.config_owner)


def _packages(docker: DockerFacts, wanted: DockerSpec, source: Source) -> EnginePackages:
    names = (*source.engine, *(source.plugins if wanted.plugins else ()))
    return EnginePackages(
        family=source.family,
        names=names,
        version=wanted.version,
        versioned=tuple(name for name in source.engine if name.startswith(("docker", "moby"))),
        absent=tuple(name for name in source.conflicts if name in docker.packages and name not in names),
        source_list=LISTS["apt"].removeprefix("/etc/apt/") if source.repository else "",
    )


def _repository(facts: HostFacts, repository: Repository, key: bytes) -> Iterator[Change]:
    values = {"repository": repository, "key": KEYS[repository.family]}
    architecture = ARCHITECTURES.get(facts.machine, facts.machine)
    yield File(KEYS[repository.family], key)
    yield File(
        LISTS[repository.family], render(f"docker/{repository.family}.list", **values, architecture=architecture)
    )


def _compose(wanted: DockerSpec, source: Source) -> Iterator[Change]:
    if wanted.compose:
        yield Program(COMPOSE_PLUGIN, wanted.compose.path, wanted.compose.sha256)
    if wanted.compose or (wanted.plugins and source.standalone_wrapper):
        yield File(COMPOSE_WRAPPER, render("docker/docker-compose"), mode=0o755)


def _proxy(wanted: DockerSpec) -> list[Change]:
    if not wanted.proxies:
        return []
    # systemd expands %, and takes \ and " for its own.
    quoted = {
        key: value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") for key, value in wanted.proxies.items()
    }
    return [File(PROXY_FILE, render("docker/proxy.conf", proxies=quoted), mode=0o600)]


def _engine(wanted: DockerSpec, merged: Merged) -> Engine:
    proxies = (f"{key}={value}" for key, value in sorted(wanted.proxies.items()))
    return Engine("docker", stamp_of(merged.text, *proxies), live_restore=merged.live_restore)


def back_up(docker: DockerFacts) -> Action:
    """Return the action that keeps an earlier Docker's settings, units and package versions in an archive."""
    stamp = stamp_of(*(f"{name}={version}" for name, version in sorted(docker.packages.items())))
    archive = f"{BACKUPS}/docker-{stamp[:12]}.tar.gz"
    text = f"keep the settings, units and package versions of the Docker that is there in {archive}"
    return Action("docker-backup", text, stamp, (Command(("sh", "-c", _BACK_UP, "back-up", archive)),))


def _affected(docker: DockerFacts, foreign: bool) -> Iterator[str]:
    if not foreign:
        return
    yield f"{docker.description}: it is replaced; /var/lib/docker stays as it is"
    if docker.running_containers:
        yield f"these containers stop: {', '.join(docker.running_containers)}"
