"""What `python-info` tells, read from files as the kernel and the image's build write them."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from kubelab_helpers import resources

GIB = 1 << 30


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The program, for a container without limits and without a description."""
    spec = importlib.util.spec_from_file_location("python_info", resources.path("images/system/python_info.py"))
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(loaded, "PYTHONS", tmp_path / "python")
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    return loaded


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.mark.parametrize(
    ("files", "memory", "cpu"),
    [
        ({"memory_DOT_max": str(GIB), "cpu_DOT_max": "50000 100000"}, GIB, 0.5),
        ({"memory_DOT_max": "max", "cpu_DOT_max": "max 100000"}, None, None),
        (
            {"memory__memory_DOT_limit_in_bytes": str(2 * GIB), "cpu__cpu_DOT_cfs_quota_us": "150000"},
            2 * GIB,
            1.5,
        ),
        ({"memory__memory_DOT_limit_in_bytes": "9223372036854771712", "cpu__cpu_DOT_cfs_quota_us": "-1"}, None, None),
        ({}, None, None),
    ],
    ids=["v2", "v2 without a limit", "v1", "v1 without a limit", "nothing to read"],
)
def test_limits_of_either_cgroup_version(
    program: ModuleType, tmp_path: Path, files: dict[str, str], memory: int | None, cpu: float | None
) -> None:
    write(tmp_path / "cgroup", **files)
    assert program.read_memory_limit() == memory
    assert program.read_cpu_limit() == cpu


def test_the_spawners_word_counts_where_the_kernel_is_silent(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEM_LIMIT", str(GIB))
    assert program.read_memory_limit() == GIB


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("2029-10-31", "security fixes until 31 October 2029"),
        ("2024-10-07", "no security fixes since 7 October 2024"),
        (None, "not known"),
    ],
)
def test_support_is_told_as_a_sentence(program: ModuleType, end: str | None, told: str) -> None:
    assert program.tell_support(end, date(2026, 11, 25)) == told


def test_people_read_limits_and_where_files_are_kept(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cgroup", memory_DOT_max=str(GIB), memory_DOT_current=str(GIB // 2))
    for version in ("3.9", "3.13"):
        (tmp_path / "python" / version).mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    told = "\n".join(program.tell(program.read_info(), date(2026, 11, 25)))
    assert "memory      1.0 GiB, of which 0.5 GiB used" in told
    assert "also here   3.9, 3.13" in told
    assert f"home        {tmp_path}: " in told
    assert f"processors  no limit of {os.cpu_count()}" in told
    assert f"packages    {len(program.list_packages())}: " in told


def test_json_is_for_programs(
    program: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["python-info", "--json"])
    program.main()
    told = json.loads(capsys.readouterr().out)
    assert told["python"]["executable"] == sys.executable
    assert told["packages"]["pytest"] == pytest.__version__
