"""`python -m tests.lint`: every linter, one after the other; all failures are shown, and counted at the end."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kubelab_helpers.artifacts.source import Store
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.result import SilentReporter

ROOT = Path(__file__).resolve().parent.parent
CHART = "charts/jupyterhub-multi"
TIMEOUT_SECONDS = 300.0
TEMPLATES = ("charts/jupyterhub-multi/templates/", "host-setup/templates/")
"""Go and Jinja2 templates, which are YAML only once they are rendered; the chart's and the unit tests parse that."""

FORBIDDEN = {
    "a path of one machine": re.compile(r"/(?:root|work)/|/tmp/(?:dev)\b"),
    "a note for later": re.compile(r"\b(?:TO)DO\b|\b(?:FIX)ME\b"),
}
"""What no committed file may hold; written so that this file does not hold it either."""


@dataclass(frozen=True)
class Check:
    """One linter: its name, and what it complains about (nothing: it passed)."""

    name: str
    find_problems: Callable[[], str]


def list_files() -> list[str]:
    """Return every file of the repository, those too that are not committed yet."""
    argv = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    names = LocalRunner().check(Command(argv, cwd=str(ROOT))).text.splitlines()
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def list_checks(files: list[str]) -> list[Check]:
    """Return the checks, in order."""
    yaml = [name for name in files if name.endswith((".yaml", ".yml")) and not name.startswith(TEMPLATES)]
    scripts = [name for name in files if is_shell_script(ROOT / name)]
    # One that is a Jinja2 template is a Dockerfile only once it is rendered; the engine reads that.
    dockerfiles = [name for name in files if Path(name).name == "Dockerfile"]
    return [
        program("ruff check", "ruff", "check", "python", "tests", "images", CHART),
        program("ruff format", "ruff", "format", "--check", "python", "tests"),
        program("mypy", "mypy"),
        program("yamllint", "yamllint", "--strict", "--config-file", ".yamllint.yaml", *yaml),
        program("shellcheck", "shellcheck", *scripts),
        program("hadolint", "hadolint", *dockerfiles),
        program("helm lint", "helm", "lint", "--strict", CHART),
        program("ct lint", "ct", "lint", "--config", "ct.yaml"),
        program("generated files", sys.executable, "-m", "kubelab_helpers.release.schema", "--check"),
        Check("words", lambda: find_words(files)),
    ]


def program(name: str, *argv: str) -> Check:
    """Return the check that a program ends with status 0."""

    def find_problems() -> str:
        done = LocalRunner().run(Command(argv, cwd=str(ROOT), timeout_seconds=TIMEOUT_SECONDS))
        return "" if done.status == 0 else f"{done.text}{done.error_text}".strip() or f"status {done.status}"

    return Check(name, find_problems)


def is_shell_script(file: Path) -> bool:
    """Return whether a file is a shell script by its name or its first line."""
    with file.open("rb") as opened:
        first = opened.readline(80)
    return file.suffix == ".sh" or bool(re.match(rb"#!\s*/(usr/)?bin/(env )?(ba|da)?sh\b", first))


def find_words(files: list[str]) -> str:
    """Return each line that holds what no committed file may hold."""
    return "\n".join(problem for name in files for problem in _find_words_in(name))


def _find_words_in(name: str) -> Iterator[str]:
    try:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(lines, start=1):
        for what, pattern in FORBIDDEN.items():
            if pattern.search(line):
                yield f"{name}:{number}: {what}: {line.strip()[:100]}"


@contextmanager
def tools_on_path() -> Iterator[None]:
    """Have Helm and chart-testing, as kubelab itself gets them, on PATH, and this environment's programs."""
    tools = Store().fetch(["helm", "chart-testing"], SilentReporter())
    before = os.environ["PATH"]
    with TemporaryDirectory() as folder:
        for name, artifact in (("helm", "helm"), ("ct", "chart-testing")):
            (Path(folder) / name).symlink_to(tools[artifact])
        os.environ["PATH"] = os.pathsep.join([folder, str(Path(sys.executable).parent), before])
        try:
            yield
        finally:
            os.environ["PATH"] = before


def run_check(check: Check) -> bool:
    """Run one check, say how it ended, and return whether it passed."""
    began = time.monotonic()
    try:
        problems = check.find_problems()
    except KubelabError as error:
        problems = error.what
    mark = "FAILED" if problems else "passed"
    sys.stdout.write(f"{mark}  {check.name} ({time.monotonic() - began:.1f} s)\n{problems}{problems and chr(10)}")
    sys.stdout.flush()
    return not problems


def main() -> int:
    """Run every check and return the exit status."""
    with tools_on_path():
        passed = [run_check(check) for check in list_checks(list_files())]
    sys.stdout.write(f"{passed.count(True)} passed, {passed.count(False)} failed\n")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
