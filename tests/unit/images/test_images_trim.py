"""What is taken out of installed packages: their tests, but for what the packages themselves import of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from kubelab_helpers import resources


@pytest.fixture(scope="module")
def script() -> Any:
    """Return the images' script as a module."""
    file = resources.path("images/system/trim_packages.py")
    spec = importlib.util.spec_from_file_location("trim_packages", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install(packages: Path, **files: str) -> None:
    """Write modules by dotted name; `__` stands for a dot, `___` for one before an underscore."""
    for name, text in files.items():
        file = packages.joinpath(*name.replace("___", "/_").replace("__", "/").split("/")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def left(packages: Path) -> set[str]:
    """What is left, files and folders."""
    return {str(each.relative_to(packages)) for each in packages.rglob("*")}


def test_tests_go_with_their_folders(script: Any, tmp_path: Path) -> None:
    """A package of the name `tests` is none of them."""
    install(tmp_path, a__code="1", a__tests__test_code="22", a__tests__deep__test_more="333", tests__mine="4")
    assert script.remove_unused(tmp_path) == 5
    assert left(tmp_path) == {"a", "a/code.py", "tests", "tests/mine.py"}


def test_what_a_package_imports_of_its_tests_stays(script: Any, tmp_path: Path) -> None:
    """As numpy 2.2's numpy.testing does; with what makes it a package, and nothing else."""
    install(
        tmp_path,
        numpy__testing="\n    from numpy.core.tests._natype import pd_NA\n# from numpy.lib.tests.other import x\n",
        numpy__core__tests__test_big="from numpy.core.tests.helper import y",
        numpy__core__tests__helper="0",
        numpy__core__tests___natype="1",
        numpy__lib__tests__other="2",
    )
    (tmp_path / "numpy" / "core" / "tests" / "__init__.py").touch()
    script.remove_unused(tmp_path)
    assert left(tmp_path / "numpy" / "core" / "tests") == {"__init__.py", "_natype.py"}
    assert not (tmp_path / "numpy" / "lib" / "tests").exists()


def test_sources_and_maps_go(script: Any, tmp_path: Path) -> None:
    for name in ("module.c", "module.pyx", "page.js.map", "module.py"):
        (tmp_path / name).write_text("x")
    script.remove_unused(tmp_path)
    assert left(tmp_path) == {"module.py"}
