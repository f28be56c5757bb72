"""The kernel's settings, modules and swap on a host."""

from __future__ import annotations

from dataclasses import dataclass

from kubelab_helpers.hosts.change import Change
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.state import HostState

_SET = 'printf %s "$2" > "$1"'
# A module that something uses by now cannot be removed, and its being loaded does no harm.
_REMOVE_MODULE = 'modprobe -r "$1" 2>/dev/null || echo "kept the kernel module $1: it is in use"'
FSTAB = "/etc/fstab"
_MARK = "# kubelab: "
# A line whose third field is `swap`, fstab(5), as probe/state.sh looks for it. Another line may have the word too.
_SWAP_LINE = r"[[:space:]]*[^#[:space:]][^[:space:]]*[[:space:]]+[^[:space:]]+[[:space:]]+swap([[:space:]]|$)"
_COMMENT_OUT = f"/^{_SWAP_LINE}/s/^/{_MARK}/"
_UNCOMMENT = f"/^{_MARK}{_SWAP_LINE}/s/^{_MARK}//"
# A host need not have the file. `sed -i` would make another of it where it is a link.
_EDIT = '[ ! -e "$1" ] || sed -E -i --follow-symlinks "$2" "$1"'


@dataclass(frozen=True)
class Sysctl(Change):
    """A kernel setting as it is now; the file that keeps it over a restart is a File of its own."""

    key: str
    value: str

    @property
    def id(self) -> str:
        return f"sysctl:{self.key}"

    @property
    def summary(self) -> str:
        return f"set {self.key} = {self.value}"

    @property
    def watched(self) -> tuple[str, ...]:
        return (self.id,)

    def satisfied_by(self, state: HostState) -> bool:
        return state.sysctls.get(self.key) == self.value

    def operations(self) -> tuple[Command, ...]:
        return (self._set(self.value),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        before = state.sysctls.get(self.key)
        return () if before is None else (self._set(before),)

    def _set(self, value: str) -> Command:
        path = "/proc/sys/" + self.key.replace(".", "/")
        return Command(("sh", "-c", _SET, "sysctl", path, value))


@dataclass(frozen=True)
class Module(Change):
    """A kernel module, loaded now; the file that loads it after a restart is a File of its own."""

    name: str

    @property
    def id(self) -> str:
        return f"module:{self.name}"

    @property
    def summary(self) -> str:
        return f"load the kernel module {self.name}"

    @property
    def watched(self) -> tuple[str, ...]:
        return (self.id,)

    def satisfied_by(self, state: HostState) -> bool:
        return self.name in state.modules

    def operations(self) -> tuple[Command, ...]:
        return (Command(("modprobe", self.name)),)

    def undo(self, state: HostState) -> tuple[Command, ...]:
        if self.satisfied_by(state):
            return ()
        return (Command(("sh", "-c", _REMOVE_MODULE, "remove-module", self.name)),)


@dataclass(frozen=True)
class NoSwap(Change):
    """No swap in use, none in /etc/fstab, and swap.target masked so that no unit turns it on again."""

    @property
    def id(self) -> str:
        return "swap"

    @property
    def summary(self) -> str:
        return "turn swap off, also in /etc/fstab and after a restart"

    @property
    def watched(self) -> tuple[str, ...]:
        return ("swap:", "unit:swap.target")

    def satisfied_by(self, state: HostState) -> bool:
        masked = state.units.get("swap.target", ("", ""))[1].startswith("masked")
        # `swaps` has /etc/fstab too, where that would use one after a restart.
        return not state.swaps and masked

    def operations(self) -> tuple[Command, ...]:
        return (
            Command(("swapoff", "-a")),
            self._edit(_COMMENT_OUT),
            Command(("systemctl", "mask", "swap.target")),
        )

    def undo(self, state: HostState) -> tuple[Command, ...]:
        masked = state.units.get("swap.target", ("", ""))[1].startswith("masked")
        devices = tuple(Command(("swapon", name)) for name in state.swaps if name.startswith("/"))
        return (
            *(() if masked else (Command(("systemctl", "unmask", "swap.target")),)),
            self._edit(_UNCOMMENT),
            *devices,
        )

    def _edit(self, script: str) -> Command:
        return Command(("sh", "-c", _EDIT, "edit-fstab", FSTAB, script))
