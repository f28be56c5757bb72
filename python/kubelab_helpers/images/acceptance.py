"""What every built image must hold to: each check once, for the families it is for and for all that stand on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.errors import KubelabError
from kubelab_helpers.images import checks
from kubelab_helpers.images.checks import Subject
from kubelab_helpers.images.presence import require_image
from kubelab_helpers.result import Outcome, Reporter

if TYPE_CHECKING:
    from docker import DockerClient

    from kubelab_helpers.images.catalog import Image, ImageCatalog

PODS = ("hub", "proxy", "base")
"""The families whose images, with all that stand on them, end up in pods; a container node's user is root."""
NOTEBOOKS = ("notebook", "notebook-latex")


@dataclass(frozen=True)
class Check:
    """`find_problem` returns what is wrong with an image, and nothing when it is as it must be."""

    name: str
    families: tuple[str, ...]
    find_problem: Callable[[Subject], str]

    @property
    def meaning(self) -> str:
        """What the check asks, in a sentence."""
        return (self.find_problem.__doc__ or "").strip().splitlines()[0]


CHECKS = (
    Check("user", PODS, checks.find_user_problem),
    Check("rights", PODS, checks.find_rights_problem),
    Check("size", PODS, checks.find_size_problem),
    Check("read-only-root", PODS, checks.find_start_problem),
    Check("python", ("base",), checks.find_python_problem),
    Check("kernels", NOTEBOOKS, checks.find_kernel_problem),
    Check("kernel-list", NOTEBOOKS, checks.find_kernel_list_problem),
    Check("trust-store", PODS, checks.find_trust_store_problem),
    Check("certificates", PODS, checks.find_certificate_problem),
    Check("build-machine", PODS, checks.find_build_machine_problem),
    Check("settings", PODS, checks.find_settings_problem),
    Check("environment", PODS, checks.find_environment_problem),
)


@dataclass(frozen=True)
class CheckResult:
    """How one check of one image ended; `problem` is empty when it passed."""

    image: str
    check: str
    problem: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the image holds to it."""
        return not self.problem


def families_of(catalog: ImageCatalog, image: Image) -> set[str]:
    """Return the families an image belongs to: its own, and those of all that it stands on."""
    below = (families_of(catalog, catalog.images[name]) for name in image.stands_on)
    return {image.repository}.union(*below)


def checks_of(catalog: ImageCatalog, image: Image) -> list[Check]:
    """Return the checks that an image must pass, in order."""
    families = families_of(catalog, image)
    return [check for check in CHECKS if families & set(check.families)]


def check_images(
    engine: DockerClient,
    catalog: ImageCatalog,
    images: Sequence[Image],
    *,
    reporter: Reporter,
    registry: str = IMAGE_PREFIX,
) -> list[CheckResult]:
    """Run every check of each image, and return how each ended. BlockedError if one of the images is not built."""
    subjects = [Subject(engine, image, require_image(engine, image, registry)) for image in images]
    return [result for subject in subjects for result in _test_one(catalog, subject, reporter)]


def _test_one(catalog: ImageCatalog, subject: Subject, reporter: Reporter) -> Iterable[CheckResult]:
    name, wanted = subject.image.name, checks_of(catalog, subject.image)
    task = f"test {name}"
    reporter.start(task, total=len(wanted))
    failed = []
    for count, check in enumerate(wanted):
        reporter.advance(task, count, check.name)
        result = run_check(check, subject)
        failed += [] if result.passed else [check.name]
        yield result
    outcome = Outcome.FAILED if failed else Outcome.UNCHANGED
    reporter.finish(task, outcome, ", ".join(failed) or f"{len(wanted)} passed")


def run_check(check: Check, subject: Subject) -> CheckResult:
    """Run one check; a program that cannot be started is a problem like another."""
    began = time.monotonic()
    try:
        problem = check.find_problem(subject)
    except KubelabError as error:
        problem = error.what
    return CheckResult(subject.image.name, check.name, problem, time.monotonic() - began)
