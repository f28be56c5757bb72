"""The questions that an image is asked; each returns what is wrong, and nothing when it is as it must be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kubelab_helpers import resources
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images.trial import HOME, as_pod, run_program
from kubelab_helpers.images.trust import DEBIAN_BUNDLE, Contents, read_trust

if TYPE_CHECKING:
    from docker import DockerClient

    from kubelab_helpers.images.catalog import Image

# Unpacked; docs/evidence.md has what was measured. A larger one must say why.
LIMITS_BYTES = {
    "hub": 350_000_000,
    "proxy": 220_000_000,
    "base": 650_000_000,
    "notebook": 900_000_000,
    "notebook-latex": 1_800_000_000,
}
FURTHER_PYTHON_BYTES = 550_000_000
FEWEST_AUTHORITIES = 100
SERVER_PYTHON = "/opt/server/bin/python"
IMPORTS = (
    "ssl, sqlite3, ctypes, lzma, bz2, readline, zlib, hashlib, curses, uuid, decimal, numpy, pandas, matplotlib.pyplot"
)
START = {
    "hub": ("jupyterhub", "--version"),
    "proxy": ("configurable-http-proxy", "--version"),
    "base": ("python-info",),
    "notebook": ("jupyterhub-singleuser", "--version"),
    "notebook-latex": ("jupyterhub-singleuser", "--version"),
}
"""The command of each family, as far as it goes without the others."""


@dataclass(frozen=True)
class Subject:
    """An image under test: its entry in the catalogue, and docker's own object. Its files are read once."""

    engine: DockerClient
    image: Image
    built: Any

    @property
    def family(self) -> str:
        """What decides its limits and its user: of an image that joins others, theirs."""
        return self.image.repository.removesuffix("-multi")

    @property
    def user(self) -> str:
        """The user and group that its pods expect: a home volume's group is Debian's `users`."""
        return "1000:100" if self.pythons else "1000:1000"

    @property
    def pythons(self) -> list[str]:
        """The versions of Python that users find in it, the one on PATH last."""
        names = self.image.joined or (self.image.name,)
        return [name.rpartition("-py")[2] for name in names if "-py" in name]

    @cached_property
    def trust(self) -> Contents:
        """What it holds of certificates and settings."""
        return read_trust(self.engine, str(self.built.id))

    def ask(self, argv: Sequence[str]) -> str:
        """Return what a program wrote in a pod's container of the image; KubelabError unless it ends with 0."""
        options = as_pod(self.user, HOME if self.pythons else None)
        run = run_program(self.engine, str(self.built.id), argv, **options)
        if run.status != 0:
            said = f"{run.output}{run.errors}".strip()[-1500:]
            raise KubelabError(f"{argv[0]} ended with {run.status}: {said}")
        return run.output.strip()


def difference(expected: object, actual: object) -> str:
    """Return both where they differ."""
    return "" if expected == actual else f"expected {expected}, found {actual}"


def find_user_problem(subject: Subject) -> str:
    """A pod with runAsNonRoot starts, because the user is a number (the kubelet believes only that) and not root's."""
    named = subject.built.attrs["Config"]["User"]
    run = run_program(subject.engine, str(subject.built.id), ["sh", "-c", "echo $(id -u):$(id -g)"], read_only=True)
    return difference((subject.user, subject.user), (named, run.output.strip()))


def find_rights_problem(subject: Subject) -> str:
    """No file with a set-id bit, and none that everybody may write, is in what our Dockerfiles add below /opt."""
    script = "find /opt -xdev '(' -perm -4000 -o -perm -2000 -o -perm -0002 ! -type l ')' -print"
    return subject.ask(["sh", "-c", script])


def find_size_problem(subject: Subject) -> str:
    """It is not heavier unpacked than its family may be, with an allowance for each further Python."""
    limit = LIMITS_BYTES[subject.family] + max(len(subject.pythons) - 1, 0) * FURTHER_PYTHON_BYTES
    size = int(subject.built.attrs["Size"])
    return "" if size <= limit else f"{size} bytes, and {limit} are allowed"


def find_start_problem(subject: Subject) -> str:
    """Its own command runs with a read-only root and no rights."""
    return "" if subject.ask(START[subject.family]) else "it said nothing"


def find_python_problem(subject: Subject) -> str:
    """`python` and `pip` are the user's in every kind of shell, also in a login shell, as a terminal is."""
    question = "python -c 'import sys; print(sys.prefix)'; command -v python3; command -v pip"
    prefix = f"/opt/python/{subject.pythons[-1]}"
    expected = [prefix, f"{prefix}/bin/python3", f"{prefix}/bin/pip"]
    for shell in (("sh", "-c"), ("bash", "-lc")):
        if problem := difference(expected, subject.ask([*shell, question]).split()):
            return f"{' '.join(shell)}: {problem}"
    return ""


def find_kernel_problem(subject: Subject) -> str:
    """A cell runs in each Python it has, with that Python's own packages, as the user, on a read-only root."""
    code = (
        f"import sys, os, json, {IMPORTS}; "
        "print(json.dumps(['{}.{}'.format(*sys.version_info), os.getuid(), sys.executable, numpy.__file__]))"
    )
    program = resources.path("images/checks/execute_in_kernel.py").read_text()
    for version in subject.pythons:
        prefix = f"/opt/python/{version}"
        packages = f"{prefix}/lib/python{version}/site-packages"
        expected = [version, 1000, f"{prefix}/bin/python{version}", f"{packages}/numpy/__init__.py"]
        answer = json.loads(subject.ask([SERVER_PYTHON, "-c", program, _kernel_of(subject, version), code]))
        if problem := difference(expected, answer):
            return problem
    return ""


def find_kernel_list_problem(subject: Subject) -> str:
    """The launcher shows each Python once, by its version; the server's own is no kernel."""
    answer = json.loads(subject.ask(["jupyter", "kernelspec", "list", "--json"]))
    shown = {name: kernel["spec"]["display_name"] for name, kernel in answer["kernelspecs"].items()}
    return difference({_kernel_of(subject, version): f"Python {version}" for version in subject.pythons}, shown)


def find_trust_store_problem(subject: Subject) -> str:
    """The system's store has Debian's certificate authorities, all of them and no other."""
    debian, store = subject.trust.debian, subject.trust.certificates.get(DEBIAN_BUNDLE, frozenset())
    if len(debian) < FEWEST_AUTHORITIES:
        return f"Debian's package has {len(debian)} authorities"
    return "" if store == debian else f"{len(store - debian)} others than Debian's, {len(debian - store)} lack"


def find_certificate_problem(subject: Subject) -> str:
    """Each .pem and .crt holds Debian's authorities only, or is byte for byte what a locked Python package brought."""
    return ", ".join(subject.trust.strangers)


def find_build_machine_problem(subject: Subject) -> str:
    """A certificate that a build on this machine is given, and that is not public, is in no file of the image."""
    return ", ".join(subject.trust.machine_files)


def find_settings_problem(subject: Subject) -> str:
    """No index address, token or proxy of the build machine's pip or npm is in the image."""
    return ", ".join(subject.trust.settings)


def find_environment_problem(subject: Subject) -> str:
    """No variable of the image points at a CA or at a package client's settings: builds mount those."""
    names = {entry.partition("=")[0] for entry in subject.built.attrs["Config"]["Env"]}
    found = {name for name in names if "CERT" in name or name.startswith(("PIP_", "NPM_", "NODE_EXTRA"))}
    return ", ".join(sorted(found | {name for name in names if name.lower().endswith("_proxy")}))


def _kernel_of(subject: Subject, version: str) -> str:
    """Return a kernel's name: the Python on PATH is every server's `python3`."""
    return "python3" if version == subject.pythons[-1] else f"python{version}"
