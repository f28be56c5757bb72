"""Writing locks: uv resolves each for its Python, and all of them are written, or none."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kubelab_helpers.errors import InvalidInputError, KubelabError
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import LocalRunner
from kubelab_helpers.images.locks import Lock, read_pins, read_requirements
from kubelab_helpers.images.secrets import PIP_SCOPES, find_ca_bundle, read_pip_settings
from kubelab_helpers.result import Outcome, Reporter

TASK = "locks"
TIMEOUT_SECONDS = 600.0
OPTIONS = (
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-python-downloads",
    "--no-progress",
)
NO_SOLUTION = "No solution found"
REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*([^;]*)")
# What pip is told of where packages come from, for those who told uv nothing.
FROM_PIP = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "trusted-host": "UV_INSECURE_HOST"}


@dataclass(frozen=True)
class WrittenLock:
    """A lock as it is now; `changed`: whether other packages are locked than before."""

    lock: Lock
    changed: bool


def write_locks(
    locks: Sequence[Lock], reporter: Reporter, *, upgrade: bool = False, ca_bundle: Path | None = None
) -> list[WrittenLock]:
    """Resolve every lock and write them all. What is locked stays as it is while it fits; not with `upgrade`.

    InvalidInputError if one cannot be resolved: it names every requirement that cannot, for whom, and the last release
    that could. Nothing is written then.
    """
    environment = _environment(ca_bundle)
    refused: dict[str, InvalidInputError] = {}
    reporter.start(TASK, total=len(locks))
    with TemporaryDirectory() as scratch:
        # In a copy, where a lock that others keep to is there for them, and nothing else sees it.
        copies = [replace(lock, folder=Path(scratch, "images")) for lock in locks]
        if locks:
            shutil.copytree(locks[0].folder, copies[0].folder)
        for count, lock in enumerate(copies):
            reporter.advance(TASK, count, lock.output)
            if lock.constraints in refused:
                continue
            try:
                _resolve(lock, environment, upgrade=upgrade)
            except InvalidInputError as error:
                refused[lock.output] = error
        if refused:
            said = f"{len(refused)} of {len(locks)} cannot be resolved; nothing is written"
            reporter.finish(TASK, Outcome.FAILED, said)
            steps = dict.fromkeys(error.next_step for error in refused.values())
            raise InvalidInputError("\n".join(error.what for error in refused.values()), next_step="; ".join(steps))
        written = [_write(lock, copy.path.read_text()) for lock, copy in zip(locks, copies, strict=True)]
    changed = sum(each.changed for each in written)
    reporter.finish(TASK, Outcome.CHANGED if changed else Outcome.UNCHANGED, f"{changed} of {len(locks)} changed")
    return written


def _write(lock: Lock, text: str) -> WrittenLock:
    before = _without_comments(lock.path.read_text()) if lock.path.is_file() else []
    partial = lock.path.with_name(f".{lock.path.name}.partial")
    partial.write_text(text)
    partial.replace(lock.path)
    return WrittenLock(lock, before != _without_comments(text))


def _resolve(lock: Lock, environment: Mapping[str, str], *, upgrade: bool) -> None:
    # Without --upgrade uv keeps the releases of an output that is there.
    further = ("--upgrade",) if upgrade else ()
    said = _run((*_uv(lock), *further, lock.input, "--output-file", str(lock.path)), environment, lock.folder)
    if said is not None:
        raise _explain(lock, said, environment)
    lock.path.write_text(lock.header() + lock.path.read_text())


def _explain(lock: Lock, said: str, environment: Mapping[str, str]) -> KubelabError:
    """Return which requirement has no solution, for whom, what uv says, and the last release that has one."""
    whom = f"Python {lock.python}" + (f" ({', '.join(lock.images)})" if lock.images else "")
    if NO_SOLUTION not in said:
        return KubelabError(f"{lock.output} could not be resolved for {whom}\n{said}", repeat="kubelab image lock")
    asked = _named_in(said, read_requirements(lock.folder / lock.input))
    guilty = [each for each in asked if _alone(lock, each, environment) is None]
    if not guilty:
        return InvalidInputError(
            f"the requirements of {lock.input} cannot be resolved together for {whom}\n{said}",
            next_step=f"ask for releases in {lock.input} that fit each other",
        )
    named = ", ".join(f"`{each}`" for each in guilty)
    return InvalidInputError(
        f"{named} of {lock.input} cannot be resolved for {whom}\n{said}",
        next_step="; ".join(_advise(lock, each, environment) for each in guilty),
    )


def _advise(lock: Lock, requirement: str, environment: Mapping[str, str]) -> str:
    name, extras, specifier = _split(requirement)
    whom = f"Python {lock.python}" + (f" beside what {lock.constraints} has" if lock.constraints else "")
    if not specifier or (last := _alone(lock, f"{name}{extras}", environment)) is None:
        return f"no release of {name} is for {whom}: leave it out there, with a marker in {lock.input}"
    marker = f'python_version == "{lock.python}"'
    return (
        f"the last release of {name} for {whom} is {last}: write "
        f"`{name}{extras}{specifier}; {marker.replace('==', '!=')}` and `{name}{extras}=={last}; {marker}` "
        f"in {lock.input}"
    )


def _alone(lock: Lock, requirement: str, environment: Mapping[str, str]) -> str | None:
    """Return the release that one requirement by itself is resolved to; None if there is none."""
    with TemporaryDirectory() as folder:
        asked, target = Path(folder, "asked.in"), Path(folder, "found.txt")
        asked.write_text(requirement + "\n")
        argv = (*_uv(lock), str(asked), "--output-file", str(target))
        if _run(argv, environment, lock.folder) is not None:
            return None
        wanted = _normal(_split(requirement)[0])
        pins = (pin.partition("==") for pin in read_pins(target))
        return next((version for name, _, version in pins if _normal(name.partition("[")[0]) == wanted), "")


def _uv(lock: Lock) -> tuple[str, ...]:
    from uv import find_uv_bin

    versions = ("--python", sys.executable, "--python-version", lock.python, "--python-platform", lock.platform)
    constraints = ("--constraints", lock.constraints) if lock.constraints else ()
    overrides = ("--overrides", lock.overrides) if lock.overrides else ()
    return (find_uv_bin(), "pip", "compile", *OPTIONS, *versions, *constraints, *overrides)


def _run(argv: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> str | None:
    """Run uv and return what it complains of, None if nothing."""
    command = Command(argv, env=tuple(environment.items()), cwd=str(folder), timeout_seconds=TIMEOUT_SECONDS)
    done = LocalRunner().run(command)
    return None if done.status == 0 else done.error_text.strip()


def _environment(ca_bundle: Path | None) -> dict[str, str]:
    """Return what uv is to know of this machine: its CA, and its indexes, which may hold a password: on no argv."""
    found = {"NO_COLOR": "1"}
    settings = read_pip_settings(LocalRunner())
    for scope in PIP_SCOPES:
        told = settings.get(scope, {})
        found |= {
            variable: told[name] for name, variable in FROM_PIP.items() if name in told and not _is_told(variable)
        }
    bundle = find_ca_bundle(ca_bundle)
    if bundle is not None:
        found["SSL_CERT_FILE"] = str(bundle)
    return found


def _is_told(variable: str) -> bool:
    return bool(os.environ.get(variable))


def _named_in(said: str, requirements: Sequence[str]) -> list[str]:
    """Return the requirements whose package uv speaks of."""
    words = {_normal(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", said)}
    return [each for each in requirements if _normal(_split(each)[0]) in words]


def _split(requirement: str) -> tuple[str, str, str]:
    """Return name, extras and version specifier."""
    found = REQUIREMENT.match(requirement)
    return (found[1], found[2] or "", found[3].strip()) if found else (requirement, "", "")


def _normal(name: str) -> str:
    """Return a project's name as indexes compare it."""
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    return re.sub(r"[-_.]+", "-", name).lower()


def _without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]
