"""Docker's packages, their hold, the group's members and the running engine, as Changes."""

from __future__ import annotations

from dataclasses import dataclass

from kubelab_helpers import resources
from kubelab_helpers.hosts.change import DIRECTORY, Change, write_stamp
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.docker_source import TEMPLATES, Family
from kubelab_helpers.hosts.file import DAEMON_RELOAD
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.state import HostState

RECORDS = f"{DIRECTORY}/docker"
INSTALL_TIMEOUT_SECONDS = 1200.0
MOST_RECORDS = 20
"""Of package transactions on one host that have not been taken back."""
_REFRESH_APT = """set -eu
[ -z "$1" ] || apt-get --quiet -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 \\
    -o APT::Update::Error-Mode=any update
apt-get --quiet update
"""
# SIGHUP switches live-restore on while the containers run; a restart after it then leaves them running.
_RELOAD = """set -eu
systemctl is-active --quiet docker || exit 0
systemctl reload docker
[ "$1" = yes ] || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)" = true ] && exit 0
    sleep 0.3
done
echo "live-restore did not come on: not restarted, because that would stop the running containers" >&2
[ -z "$(docker ps --quiet)" ]
"""
# Docker's unit is not started again after three starts within a minute, one of which the packages made.
_FORGET_STARTS = Command(("sh", "-c", "systemctl reset-failed docker.service 2>/dev/null || true"))
_MEMBERSHIP = 'getent group "$2" >/dev/null || groupadd --system "$2"; gpasswd "$1" "$3" "$2"'
_LEAVE = 'id -nG "$3" 2>/dev/null | tr " " "\\n" | grep -qx "$2" || exit 0; gpasswd "$1" "$3" "$2"'


def script(name: str, *arguments: str) -> Command:
    """Return the command that runs one of Docker's scripts: POSIX sh, because a host may have no Python."""
    text = resources.path(f"{TEMPLATES}/{name}.sh").read_text()
    return Command(("sh", "-c", text, name, *arguments), timeout_seconds=INSTALL_TIMEOUT_SECONDS)


@dataclass(frozen=True)
class EnginePackages(Change):
    """These packages installed (with this version where one is named), and those `absent` not.

    The host keeps every package's version before and after, so that a rollback removes what came, brings back what
    went, and refuses with apt's reason when the earlier version can no longer be had.
    """

    family: Family
    names: tuple[str, ...]
    version: str = ""
    versioned: tuple[str, ...] = ()
    """The names that `version` is about."""
    absent: tuple[str, ...] = ()
    source_list: str = ""
    """The file of the repository that must answer with a good signature."""

    @property
    def id(self) -> str:
        return "packages:docker"

    @property
    def summary(self) -> str:
        text = f"install packages {', '.join(word.replace('=', ' ') for word in self._words())}"
        return text + (f"; remove {', '.join(self.absent)}" if self.absent else "")

    @property
    def watched(self) -> tuple[str, ...]:
        packages = (f"package:{name}" for name in (*self.names, *self.absent))
        return (*packages, *(f"file:{_record(number)}" for number in range(1, MOST_RECORDS)))

    def _words(self) -> tuple[str, ...]:
        return tuple(
            f"{name}={self.version}" if name in self.versioned and self.version else name for name in self.names
        )

    def satisfied_by(self, state: HostState) -> bool:
        wanted = {word.partition("=")[0]: word.partition("=")[2] for word in self._words()}
        there = all(
            name in state.packages and version in ("", state.packages[name]) for name, version in wanted.items()
        )
        return there and not any(name in state.packages for name in self.absent)

    def operations(self) -> tuple[Command, ...]:
        refresh = (Command(("sh", "-c", _REFRESH_APT, "refresh", self.source_list)),) if self.family == "apt" else ()
        words = (*self._words(), *(f"{name}-" for name in self.absent))
        return (*refresh, script("packages", "install", self.family, f"{RECORDS}/packages", *words))

    def undo(self, state: HostState) -> tuple[Command, ...]:
        # Each transaction has a number of its own, so that taking back one that never began takes back no earlier one.
        number = next((each for each in range(1, MOST_RECORDS) if _record(each) not in state.files), MOST_RECORDS)
        return (script("packages", "undo", self.family, f"{RECORDS}/packages", str(number)),)


def _record(number: int) -> str:
    return f"{RECORDS}/packages.{number}.after"


@dataclass(frozen=True)
class Traces(Change):
    """A note of what was on the host before Docker: its folders, its forwarding policy, its group."""

    @property
    def id(self) -> str:
        return "docker:traces"

    @property
    def summary(self) -> str:
        return "note what Docker's start will change on this host (folders, forwarding policy, group)"

    @property
    def watched(self) -> tuple[str, ...]:
        return (f"file:{RECORDS}/traces",)

    def satisfied_by(self, state: HostState) -> bool:
        return f"{RECORDS}/traces" in state.files

    def operations(self) -> tuple[Command, ...]:
        return (script("traces", "record", RECORDS),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        return () if self.satisfied_by(state) else (script("traces", "clean", RECORDS),)


@dataclass(frozen=True)
class Hold(Change):
    """Versions that no upgrade changes: apt-mark hold, or dnf's versionlock."""

    family: Family
    names: tuple[str, ...]

    @property
    def id(self) -> str:
        return "hold:docker"

    @property
    def summary(self) -> str:
        return f"hold the versions of {', '.join(self.names)}"

    @property
    def watched(self) -> tuple[str, ...]:
        return tuple(f"held:{name}" for name in self.names)

    def satisfied_by(self, state: HostState) -> bool:
        return set(self.names) <= state.held

    def operations(self) -> tuple[Command, ...]:
        return (self._mark("hold", "add", self.names),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        ours = tuple(name for name in self.names if name not in state.held)
        return (self._mark("unhold", "delete", ours),) if ours else ()

    def _mark(self, apt: str, dnf: str, names: tuple[str, ...]) -> Command:
        return Command(
            ("apt-mark", apt, *names) if self.family == "apt" else ("dnf", "--assumeyes", "versionlock", dnf, *names)
        )


@dataclass(frozen=True)
class Membership(Change):
    """A user in the group docker, who can then become root: the daemon runs as root and mounts any path."""

    user: str
    member: bool
    group: str = "docker"

    @property
    def id(self) -> str:
        return f"member:{self.group}:{self.user}"

    @property
    def summary(self) -> str:
        return f"add {self.user} to the group {self.group} (this is as good as root's rights)"

    def satisfied_by(self, state: HostState) -> bool:
        return self.member

    def operations(self) -> tuple[Command, ...]:
        return (Command(("sh", "-euc", _MEMBERSHIP, "member", "--add", self.group, self.user)),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        return (Command(("sh", "-euc", _LEAVE, "member", "--delete", self.group, self.user)),)


@dataclass(frozen=True)
class Engine(Unit):
    """dockerd, enabled and running with these settings; containers that run now go on where live-restore allows it."""

    live_restore: bool = True

    def operations(self) -> tuple[Command, ...]:
        word = "yes" if self.live_restore else "no"
        reload = Command(("sh", "-c", _RELOAD, "reload", word))
        enable, restart = (Command(("systemctl", verb, self.name)) for verb in ("enable", "restart"))
        return (DAEMON_RELOAD, reload, _FORGET_STARTS, enable, restart, write_stamp(f"unit-{self.name}", self.stamp))

    def undo(self, state: HostState) -> tuple[Command, ...]:
        if state.units.get(self.name, ("", ""))[0] == "active":
            return super().undo(state)
        return (script("traces", "stop", RECORDS), *super().undo(state))

    def settle(self, state: HostState) -> tuple[Command, ...]:
        return (_FORGET_STARTS, *super().settle(state))
