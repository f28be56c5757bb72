"""Whether the engine, and with it the registry, is there again after a restart of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelab_helpers.cluster import engine
from kubelab_helpers.hosts.command import Command, Completed


class Systemctl:
    """Answers `systemctl is-enabled` of some units."""

    name = "this machine"

    def __init__(self, *enabled: str) -> None:
        self.enabled = enabled

    def run(self, command: Command) -> Completed:
        """Status 0 for an enabled unit, as systemctl(1) says."""
        assert command.argv[:2] == ("systemctl", "is-enabled")
        return Completed(command, 0 if command.argv[-1] in self.enabled else 1, b"", b"")

    def check(self, command: Command) -> Completed:
        """Nothing is changed here."""
        raise AssertionError(command)


@pytest.mark.parametrize(
    ("enabled", "returns"),
    [(("docker.service", "docker.socket"), True), (("docker.socket",), False), ((), False)],
)
def test_the_engine_returns_where_its_unit_is_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: tuple[str, ...], returns: bool
) -> None:
    monkeypatch.setattr(engine, "SYSTEMD", tmp_path)
    assert engine.starts_with_machine(Systemctl(*enabled)) is returns


def test_without_systemd_nothing_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `systemctl` may be there all the same, as on a machine whose PID 1 is another program."""
    monkeypatch.setattr(engine, "SYSTEMD", tmp_path / "absent")
    assert not engine.starts_with_machine(Systemctl("docker.service"))
