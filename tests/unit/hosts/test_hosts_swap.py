"""Swap: off now, in /etc/fstab and by systemd, and all three as they were again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.kernel import FSTAB, NoSwap
from kubelab_helpers.hosts.probe import probe_command
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.hosts.state import HostState, parse_state

SWAP_LINES = (
    "UUID=0a1b none swap sw 0 0",
    "/dev/sda2\tswap\tswap\tdefaults\t0\t0",
    "  /swap.img none swap",
)
OTHER_LINES = (
    "# /etc/fstab: static file system information.",
    "# /dev/sdb1 none swap sw 0 0",
    "UUID=2c3d / ext4 errors=remount-ro 0 1",
    "/dev/sdc1 /swap ext4 defaults 0 2  # there is no swap here",
    "",
)
TABLE = "\n".join((*OTHER_LINES, *SWAP_LINES)) + "\n"
MASKED = {"swap.target": ("inactive", "masked")}
PLAIN = {"swap.target": ("inactive", "static")}


def on(file: Path, command: Command) -> Command:
    """Return a command that works on another file than the machine's own."""
    return dataclasses.replace(command, argv=tuple(each.replace(FSTAB, str(file)) for each in command.argv))


def edit(file: Path, commands: tuple[Command, ...]) -> None:
    """Run the one command of these that edits the table."""
    (editing,) = [each for each in commands if FSTAB in each.argv]
    LocalRunner().check(on(file, editing))


def seen(file: Path) -> tuple[str, ...]:
    """Return the swap that the probe sees in a table; the machine's own devices in use are left out."""
    swaps = parse_state(LocalRunner().check(on(file, probe_command("state", "swap:"))).text).swaps
    return tuple(each for each in swaps if each == "fstab")


def test_the_table_forth_and_back(tmp_path: Path) -> None:
    file = tmp_path / "fstab"
    file.write_text(TABLE)
    file.chmod(0o640)
    assert seen(file) == ("fstab",)
    edit(file, NoSwap().operations())
    assert file.read_text().splitlines() == [*OTHER_LINES, *(f"# kubelab: {line}" for line in SWAP_LINES)]
    assert seen(file) == ()
    edit(file, NoSwap().operations())
    assert file.read_text().count("# kubelab:") == len(SWAP_LINES)
    edit(file, NoSwap().undo(HostState()))
    assert file.read_bytes() == TABLE.encode()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("line", SWAP_LINES)
def test_the_probe_and_the_edit_mean_the_same_lines(tmp_path: Path, line: str) -> None:
    """What the probe finds and the edit misses would be applied, and not so afterwards."""
    file = tmp_path / "fstab"
    file.write_text(f"{line}\n")
    assert seen(file) == ("fstab",)
    edit(file, NoSwap().operations())
    assert seen(file) == ()


def test_a_table_without_swap_and_one_that_is_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real", tmp_path / "fstab"
    file.write_text("\n".join(OTHER_LINES))
    link.symlink_to(file)
    edit(link, NoSwap().operations())
    assert link.is_symlink()
    assert file.read_text() == "\n".join(OTHER_LINES)


def test_a_host_without_a_table(tmp_path: Path) -> None:
    edit(tmp_path / "absent", NoSwap().operations())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "satisfied"),
    [
        (HostState(units=MASKED), True),
        (HostState(units=PLAIN), False),
        (HostState(), False),
        (HostState(units=MASKED, swaps=("/dev/sda2",)), False),
        (HostState(units=MASKED, swaps=("fstab",)), False),
        (HostState(units={"swap.target": ("inactive", "masked-runtime")}), True),
    ],
)
def test_when_nothing_is_to_do(state: HostState, satisfied: bool) -> None:
    assert NoSwap().satisfied_by(state) is satisfied


def test_the_target_is_masked_and_unmasked() -> None:
    assert NoSwap().operations()[0].argv == ("swapoff", "-a")
    assert NoSwap().operations()[-1].argv == ("systemctl", "mask", "swap.target")
    before = HostState(units=PLAIN, swaps=("/dev/sda2", "/swap.img", "fstab"))
    unmask, table, *devices = NoSwap().undo(before)
    assert unmask.argv == ("systemctl", "unmask", "swap.target")
    assert FSTAB in table.argv
    assert [each.argv for each in devices] == [("swapon", "/dev/sda2"), ("swapon", "/swap.img")]


def test_what_was_masked_before_stays_masked() -> None:
    commands = NoSwap().undo(HostState(units=MASKED))
    assert not any("unmask" in each.argv for each in commands)
