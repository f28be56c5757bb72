"""Where a host's Docker comes from: Docker CE's own signed repository, or the distribution's engine. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from kubelab_helpers import resources
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.docker import DockerFacts
from kubelab_helpers.hosts.facts import HostFacts

Origin = Literal["auto", "distribution", "docker-ce"]
Family = Literal["apt", "dnf"]
TEMPLATES = "host-setup/templates/docker"
PLUGIN_REMEDY = (
    "install Docker CE (--from docker-ce), or give the release program of https://github.com/docker/compose/releases "
    "with --compose-program and --compose-sha256"
)


@dataclass(frozen=True)
class Repository:
    """A signed package repository: its URL, where its key is, and the fingerprint that the key must have."""

    family: Family
    url: str
    asked: str
    """The URL whose answer shows that the repository can be reached and has this release."""
    key_url: str
    fingerprint: str
    suite: str


@dataclass(frozen=True)
class Source:
    """The packages of one origin, why it was chosen, and what a person should know of it."""

    origin: Literal["distribution", "docker-ce"]
    family: Family
    engine: tuple[str, ...]
    plugins: tuple[str, ...]
    conflicts: tuple[str, ...]
    why: str
    repository: Repository | None = None
    standalone_wrapper: bool = False
    """Whether `docker-compose` is to be a wrapper around `docker compose`."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RepositoryChoice:
    """A repository other than Docker's own, such as a company's mirror; empty fields keep Docker's."""

    url: str = ""
    key_url: str = ""
    fingerprint: str = ""


@cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(resources.path(f"{TEMPLATES}/sources.yaml").read_text())
    return loaded


def family_of(facts: HostFacts) -> Family:
    """Return how the host's packages are installed; BlockedError where kubelab knows no way."""
    if "apt-get" in facts.programs:
        return "apt"
    if facts.programs & {"dnf", "yum"}:
        return "dnf"
    raise BlockedError(
        f"{facts.hostname}: neither apt-get nor dnf is there",
        next_step="install Docker yourself; kubelab can configure it",
    )


def docker_repository(facts: HostFacts, choice: RepositoryChoice) -> Repository | None:
    """Return Docker CE's repository for the host, or None where Docker makes no packages for its distribution."""
    data, family = _data()["docker-ce"], family_of(facts)
    folder = data["folders"].get(facts.os_id)
    if folder is None and not choice.url:
        return None
    made = data[family]
    # RPM folders are named by the major version.
    version = facts.os_version.split(".")[0]
    url = (choice.url or made["url"].format(folder=folder)).rstrip("/")
    values = {"url": url, "codename": facts.codename, "version": version, "machine": facts.machine}
    return Repository(
        family=family,
        url=url,
        asked=made["asked"].format(**values),
        key_url=choice.key_url or made["key"].format(**values),
        fingerprint=(choice.fingerprint or made["fingerprint"]).upper().replace(" ", ""),
        suite=facts.codename or version,
    )


def choose_source(facts: HostFacts, docker: DockerFacts, wanted: Origin, repository: Repository | None) -> Source:
    """Return where Docker is to come from and why; BlockedError where the wanted origin has none for this host.

    What is installed already by the same origin decides before anything is asked: a second run must not turn it.
    """
    if wanted == "auto":
        if docker.kind == "docker-ce":
            return _docker_ce(facts, repository, "it is installed from there already")
        if docker.kind in {"docker.io", "moby-engine"}:
            return _distribution(facts, "it is installed from there already")
        said = docker.answers.get(repository.asked, "unknown") if repository else "no"
        if repository and said == "yes":
            return _docker_ce(facts, repository, f"its repository answers ({repository.url})")
        return _distribution(facts, _why_not(repository, said))
    if wanted == "docker-ce":
        return _docker_ce(facts, repository, "it was asked for")
    if wanted == "distribution":
        return _distribution(facts, "it was asked for")
    raise InvalidInputError(f"there is no origin {wanted}", next_step="auto, distribution or docker-ce")


def _why_not(repository: Repository | None, said: str) -> str:
    if repository is None:
        return "Docker CE has no packages for this distribution"
    reason = "does not answer from here" if said == "no" else "could not be asked from here (no curl, wget or apt)"
    return f"Docker CE's repository {repository.url} {reason}"


def _docker_ce(facts: HostFacts, repository: Repository | None, why: str) -> Source:
    if repository is None:
        raise BlockedError(
            f"Docker CE has no packages for {facts.os_id} {facts.os_version}",
            next_step="--from distribution, or name a repository with --repository",
        )
    data = _data()["docker-ce"]
    return Source(
        origin="docker-ce",
        family=repository.family,
        engine=(*data["engine"], *_security(facts, repository.family)),
        plugins=tuple(data["plugins"]),
        conflicts=tuple(data["conflicts"]),
        why=why,
        repository=repository,
        standalone_wrapper=True,
    )


def _distribution(facts: HostFacts, why: str) -> Source:
    data = _data()
    found = data["distribution"].get(f"{facts.os_id}-{facts.os_version}")
    if found is None:
        raise BlockedError(
            f"kubelab knows no Docker in the packages of {facts.os_id} {facts.os_version} itself ({why})",
            next_step="let the host reach Docker CE's repository, or name a mirror of it with --repository",
        )
    notes = [] if found["plugins"] else [f"`docker compose`: this distribution has no package for it; {PLUGIN_REMEDY}"]
    return Source(
        origin="distribution",
        family=family_of(facts),
        engine=(*found["engine"], *_security(facts, family_of(facts))),
        plugins=tuple(dict.fromkeys((*found["plugins"], *found["standalone"]))),
        conflicts=tuple(data["distribution-conflicts"]),
        why=why,
        standalone_wrapper=bool(found["plugins"]) and not found["standalone"],
        notes=tuple(notes),
    )


def _security(facts: HostFacts, family: Family) -> tuple[str, ...]:
    """What the engine needs beside it: with AppArmor in the kernel dockerd loads a profile with the parser's help."""
    return ("apparmor",) if facts.apparmor and family == "apt" else ()
