"""What Docker is on a host, read in one go: packages, daemon, settings, and whose containers would be touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kubelab_helpers.hosts.probe import probe_command
from kubelab_helpers.hosts.runner import Runner

Kind = Literal["none", "docker-ce", "docker.io", "docker-engine", "moby-engine", "docker", "snap", "podman", "programs"]
ENGINES: tuple[Kind, ...] = ("docker-ce", "docker.io", "docker-engine", "moby-engine", "docker")
DAEMON_FILE = "/etc/docker/daemon.json"


@dataclass(frozen=True)
class DockerFacts:
    """One host's Docker. `info` is what the running daemon said of itself; a stopped one was not asked."""

    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that have to do with Docker, by name."""
    snap: str = ""
    dockerd: str = ""
    version: str = ""
    running: bool = False
    data: bool = False
    """Whether /var/lib/docker is there."""
    config: bool = False
    """Whether /etc/docker/daemon.json is there; its text is in `HostFacts.contents`."""
    config_mode: int = 0o644
    config_owner: str = "0:0"
    containerd: bool = False
    unit: str = ""
    dropins: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    """The words that the unit gives to dockerd."""
    info: dict[str, str] = field(default_factory=dict)
    containers: tuple[tuple[str, str], ...] = ()
    """Names and states."""
    images: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    members: frozenset[str] = frozenset()
    """The users in the group docker."""
    users: frozenset[str] = frozenset()
    """Which of the users that were asked for exist."""
    compose_plugin: str = ""
    compose_standalone: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    """By URL: yes, no, or unknown where no program could ask."""

    @property
    def kind(self) -> Kind:
        """Which Docker it is; `podman` only looks like one."""
        if found := next((name for name in ENGINES if name in self.packages), None):
            return found
        if self.snap:
            return "snap"
        if self.dockerd:
            return "programs"
        return "podman" if "podman-docker" in self.packages else "none"

    @property
    def running_containers(self) -> tuple[str, ...]:
        """Names of the containers that run now."""
        return tuple(name for name, state in self.containers if state == "running")

    @property
    def live_restore(self) -> bool:
        """Whether the daemon says that containers outlive it."""
        return self.info.get("live_restore") == "true"

    @property
    def description(self) -> str:
        """The Docker in a few words."""
        if self.kind == "none":
            return "no Docker"
        version = self.packages.get(self.kind, "") or self.snap or self.version or "of unknown version"
        names = {
            "snap": "Docker as a snap",
            "programs": f"Docker as programs ({self.dockerd})",
            "podman": "podman-docker",
        }
        state = "running" if self.running else "not running"
        counts = f", {len(self.containers)} containers, {len(self.images)} images, {len(self.volumes)} volumes"
        return f"{names.get(self.kind, self.kind)} {version}, {state}" + (counts if self.running else "")


def probe_docker(runner: Runner, users: tuple[str, ...] = (), urls: tuple[str, ...] = ()) -> DockerFacts:
    """Read a host's Docker in one round trip; nothing is written there. `urls` are asked for from the host."""
    words = (*(f"user:{name}" for name in users), *(f"url:{url}" for url in urls))
    return parse_docker(runner.check(probe_command("docker", *words)).text)


def parse_docker(text: str) -> DockerFacts:
    """Return the facts of one probe's output."""
    seen: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("\t")
        seen.setdefault(key, []).append(value)

    def one(key: str) -> str:
        return seen.get(key, [""])[0]

    def pairs(key: str, separator: str = " ") -> tuple[tuple[str, str], ...]:
        return tuple((first, last) for first, _, last in (each.partition(separator) for each in seen.get(key, ())))

    info = dict(line.partition(" ")[::2] for line in seen.get("info", ()))
    mode, _, owner = (one("config") or "644 0:0").partition(" ")
    return DockerFacts(
        packages=dict(pairs("package")),
        snap=one("snap"),
        dockerd=one("dockerd"),
        version=one("version"),
        running=one("running") == "yes",
        data=bool(one("data")),
        config=bool(one("config")),
        config_mode=int(mode, 8),
        config_owner=owner,
        containerd=bool(one("containerd")),
        unit=one("unit"),
        dropins=tuple(seen.get("dropin", ())),
        flags=tuple(seen.get("flag", ())),
        info=info,
        containers=pairs("container"),
        images=tuple(seen.get("image", ())),
        volumes=tuple(seen.get("volume", ())),
        members=frozenset(seen.get("member", ())),
        users=frozenset(seen.get("user", ())),
        compose_plugin=one("compose_plugin"),
        compose_standalone=one("compose_standalone"),
        answers={url: said for said, url in pairs("answers")},
    )
