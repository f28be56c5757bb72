# ruff: noqa: D102  the double has the methods of what it stands for
"""The checks of built images: which image must pass which, and that each of them finds what it is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.images import acceptance, checks, trust
from kubelab_helpers.images.acceptance import CHECKS, Check, check_images, checks_of, families_of, run_check
from kubelab_helpers.images.catalog import load_catalog
from kubelab_helpers.images.checks import LIMITS_BYTES, Subject
from kubelab_helpers.images.trial import Run
from kubelab_helpers.images.trust import DEBIAN_BUNDLE, DEBIAN_SOURCES, Contents
from kubelab_helpers.result import SilentReporter

from .support import archive

CATALOG = load_catalog()
MULTI = CATALOG.named(["notebook-multi"])[0]
DEBIAN = frozenset(str(number).encode() for number in range(120))
SITE = "opt/server/lib/python3.13/site-packages"


class Asked(Subject):
    """An image whose programs answer what the test says."""

    answers: dict[str, str]

    def ask(self, argv: Sequence[str]) -> str:
        return self.answers[argv[0]]


def subject(
    name: str = "hub",
    answers: dict[str, str] | None = None,
    *,
    size: int = 1,
    user: str = "1000:1000",
    env: tuple[str, ...] = (),
) -> Asked:
    image = MULTI if name == "notebook-multi" else CATALOG.images[name]
    attrs = {"Size": size, "Config": {"User": user, "Env": list(env)}}
    made = Asked(cast("Any", None), image, SimpleNamespace(id="sha256:1", attrs=attrs))
    object.__setattr__(made, "answers", answers or {})  # Subject is frozen
    return made


def trusting(**contents: Any) -> Asked:
    made = subject()
    made.__dict__["trust"] = Contents(**contents)
    return made


def test_what_stands_on_an_image_must_pass_its_checks_too() -> None:
    assert families_of(CATALOG, MULTI) == {"notebook-multi", "notebook", "server", "base", "system"}
    notebook = checks_of(CATALOG, CATALOG.images["notebook-py3.11"])
    assert checks_of(CATALOG, MULTI) == notebook == list(CHECKS)
    assert {"python", "kernels"} & {each.name for each in checks_of(CATALOG, CATALOG.images["hub"])} == set()
    assert checks_of(CATALOG, CATALOG.images["node"]) == []


def test_every_check_says_what_it_asks_and_has_a_name_of_its_own() -> None:
    assert all(check.meaning.endswith(".") for check in CHECKS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(("user", "identity", "found"), [("1000:1000", "1000:1000", False), ("root", "0:0", True)])
def test_a_user_that_is_no_number_is_found(
    monkeypatch: pytest.MonkeyPatch, user: str, identity: str, found: bool
) -> None:
    monkeypatch.setattr(checks, "run_program", lambda *_, **__: Run(0, f"{identity}\n", ""))
    problem = checks.find_user_problem(subject(user=user))
    assert bool(problem) is found
    assert not found or "found ('root', '0:0')" in problem


def test_an_image_above_its_limit_is_found() -> None:
    limit = LIMITS_BYTES["hub"]
    assert checks.find_size_problem(subject(size=limit)) == ""
    assert checks.find_size_problem(subject(size=limit + 1)) == f"{limit + 1} bytes, and {limit} are allowed"
    # Two Pythons may weigh more than one.
    assert checks.find_size_problem(subject("notebook-multi", size=LIMITS_BYTES["notebook"] + 1)) == ""
    assert checks.find_size_problem(subject("notebook-py3.11", size=LIMITS_BYTES["notebook"] + 1)) != ""


def test_a_file_that_gives_root_back_is_found() -> None:
    assert checks.find_rights_problem(subject("hub", {"sh": "/opt/hub/bin/su"})) == "/opt/hub/bin/su"
    assert checks.find_rights_problem(subject("hub", {"sh": ""})) == ""


def test_another_python_on_path_is_found_in_either_shell() -> None:
    right = "/opt/python/3.11 /opt/python/3.11/bin/python3 /opt/python/3.11/bin/pip"
    other = right.replace("3.11/bin/pip", "3.12/bin/pip")
    assert checks.find_python_problem(subject("notebook-py3.11", {"sh": right, "bash": right})) == ""
    assert checks.find_python_problem(subject("notebook-py3.11", {"sh": right, "bash": other})).startswith(
        "bash -lc: expected"
    )


def test_a_kernel_of_another_python_is_found() -> None:
    def answer(version: str) -> str:
        prefix = f"/opt/python/{version}"
        numpy = f"{prefix}/lib/python{version}/site-packages/numpy/__init__.py"
        return json.dumps([version, 1000, f"{prefix}/bin/python{version}", numpy])

    found = {"/opt/server/bin/python": answer("3.11")}
    assert checks.find_kernel_problem(subject("notebook-py3.11", found)) == ""
    assert "found ['3.11', 1000" in checks.find_kernel_problem(subject("notebook-multi", found))


def test_a_kernel_too_many_is_found() -> None:
    def answer(*names: str) -> str:
        return json.dumps({"kernelspecs": {name: {"spec": {"display_name": "Python 3.11"}} for name in names}})

    assert checks.find_kernel_list_problem(subject("notebook-py3.11", {"jupyter": answer("python3")})) == ""
    assert "ir" in checks.find_kernel_list_problem(subject("notebook-py3.11", {"jupyter": answer("python3", "ir")}))


def test_another_authority_than_debians_is_found() -> None:
    sources = {f"{DEBIAN_SOURCES}all.crt": DEBIAN}
    assert checks.find_trust_store_problem(trusting(certificates={**sources, DEBIAN_BUNDLE: DEBIAN})) == ""
    more = trusting(certificates={**sources, DEBIAN_BUNDLE: DEBIAN | {b"ours"}})
    assert checks.find_trust_store_problem(more) == "1 others than Debian's, 0 lack"
    assert checks.find_trust_store_problem(trusting(certificates=sources)) == "0 others than Debian's, 120 lack"
    assert checks.find_trust_store_problem(trusting()) == "Debian's package has 0 authorities"


def test_a_certificate_file_that_no_package_brought_is_found() -> None:
    path = f"{SITE}/certifi/cacert.pem"
    found: dict[str, Any] = {"certificates": {path: frozenset({b"public"})}, "digests": {path: "a"}}
    assert checks.find_certificate_problem(trusting(**found, recorded={path: "a"})) == ""
    assert checks.find_certificate_problem(trusting(**found, recorded={path: "another"})) == path


def test_settings_and_variables_of_the_build_machine_are_found() -> None:
    assert checks.find_settings_problem(trusting(settings=["etc/pip.conf"])) == "etc/pip.conf"
    assert checks.find_build_machine_problem(trusting(machine_files=["opt/x"])) == "opt/x"
    assert checks.find_environment_problem(subject(env=("PATH=/bin", "LANG=C"))) == ""
    named = subject(env=("PIP_INDEX_URL=x", "https_proxy=y", "SSL_CERT_FILE=z"))
    assert checks.find_environment_problem(named) == "PIP_INDEX_URL, SSL_CERT_FILE, https_proxy"


def test_files_are_read_for_certificates_records_settings_and_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    local = b"A" * 64 + b"the end of a signature"
    bundle = b"-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n"
    files: dict[str, str | bytes] = {
        f"{SITE}/certifi/cacert.pem": bundle,
        f"{SITE}/certifi-1.dist-info/RECORD": "certifi/cacert.pem,sha256=abc,3\ncertifi/py.typed,,\n",
        "etc/pip.conf": "[global]\n",
        "opt/hidden": b"before" + local + b"after",
    }
    monkeypatch.setattr(trust, "exported", lambda *_: archive(files))
    found = trust.read_contents(cast("Any", None), "", {local: b"whole"})
    assert found.certificates == {f"{SITE}/certifi/cacert.pem": frozenset({b"AAAABBBB"})}
    assert found.recorded == {f"{SITE}/certifi/cacert.pem": "abc"}
    assert (found.settings, found.machine_files) == (["etc/pip.conf"], ["opt/hidden"])
    assert found.strangers == [f"{SITE}/certifi/cacert.pem"]


def test_results_come_as_data_and_a_program_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Subject) -> str:
        raise KubelabError("jupyterhub ended with 1: no such module")

    passing = Check("size", ("hub",), checks.find_size_problem)
    monkeypatch.setattr(acceptance, "CHECKS", (passing, Check("start", ("hub",), fail)))
    monkeypatch.setattr(acceptance, "require_image", lambda *_: subject().built)
    found = check_images(cast("Any", None), CATALOG, [CATALOG.images["hub"]], reporter=SilentReporter())
    assert [(each.image, each.check, each.passed) for each in found] == [("hub", "size", True), ("hub", "start", False)]
    assert found[1].problem == "jupyterhub ended with 1: no such module"
    assert run_check(passing, subject(size=10**12)).passed is False


def test_an_image_that_is_not_built_is_told_before_any_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(_: str) -> Any:
        from docker.errors import ImageNotFound

        raise ImageNotFound("gone")

    monkeypatch.setattr(acceptance, "run_check", lambda *_: pytest.fail("an image was tried"))
    engine: Any = SimpleNamespace(images=SimpleNamespace(get=get))
    with pytest.raises(BlockedError, match="hub is not built") as raised:
        check_images(engine, CATALOG, [CATALOG.images["hub"]], reporter=SilentReporter())
    assert raised.value.next_step == "kubelab image build hub"
