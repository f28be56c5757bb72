"""The whole way as a person goes it, in a browser, with a click for everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .browser import open_browser, photograph
from .hub import HubSession
from .lab import Lab, pythons_of
from .people import Account, People

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

ACTION_TIMEOUT_MILLISECONDS = 30_000
START_TIMEOUT_MILLISECONDS = 120_000
VISIBLE_NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden)"
CODE = "import sys; print('Hello from Python', *sys.version_info[:2])"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A fresh browser's page."""
    with open_browser(tmp_path / "profile") as page:
        page.set_default_timeout(ACTION_TIMEOUT_MILLISECONDS)
        yield page


@pytest.fixture
def problems(page: Page) -> list[str]:
    """What the browser's console says of pages of the lab that did not load."""
    problems: list[str] = []

    def note_failure(answer: Response) -> None:
        if answer.status >= 500:
            problems.append(f"{answer.status} {answer.url}")

    page.on("response", note_failure)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return problems


def test_person_signs_up_picks_a_python_and_sees_a_cells_output(
    lab: Lab, people: People, admin: HubSession, page: Page, problems: list[str]
) -> None:
    """Sign-up, approval, login, spawn page, the welcome, a new notebook, output; no page fails on the way."""
    account, python = people.invent("browser"), pythons_of(lab.spec)[0]
    _sign_up(page, lab, account)
    admin.authorize(account.name)
    _log_in(page, account)
    _pick(page, python)
    _read_welcome(page, python)
    _open_notebook(page, python)
    output = _run(page, CODE)
    assert output == f"Hello from Python {python.replace('.', ' ')}"
    photograph(page, "notebook")
    assert problems == []


def _sign_up(page: Page, lab: Lab, account: Account) -> None:
    page.goto(lab.address)
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Username").fill(account.name)
    page.get_by_label("Password:", exact=True).fill(account.password)
    page.locator("#password_confirmation_input").fill(account.password)
    photograph(page, "sign-up-page")
    page.get_by_role("button", name="Create User").click()
    page.get_by_text("Your information has been sent to the admin").wait_for()
    page.get_by_role("link", name="Login").first.click()


def _log_in(page: Page, account: Account) -> None:
    page.get_by_label("Username").fill(account.name)
    page.get_by_label("Password").fill(account.password)
    assert page.get_by_text("unsecured HTTP").count() == 0, "on this machine itself there is nothing to warn of"
    photograph(page, "login-page")
    page.get_by_role("button", name="Sign In").click()


def _pick(page: Page, python: str) -> None:
    choice = page.get_by_role("radio", name=f"Python {python}")
    choice.wait_for()
    photograph(page, "spawn-page")
    choice.check()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile("/user/[^/]+/lab"), timeout=START_TIMEOUT_MILLISECONDS)


def _read_welcome(page: Page, python: str) -> None:
    """See the notebook that a first start opens, and run its cell that tells the Python."""
    page.get_by_role("heading", name="Welcome").wait_for(timeout=START_TIMEOUT_MILLISECONDS)
    page.get_by_text(f"Python {python} | Idle").wait_for(timeout=START_TIMEOUT_MILLISECONDS)
    page.locator(f"{VISIBLE_NOTEBOOK} .jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    told = page.locator(f"{VISIBLE_NOTEBOOK} .jp-OutputArea-output").first
    told.wait_for()
    assert re.search(rf"Python +{re.escape(python)}\.\d+", told.inner_text())
    photograph(page, "welcome")


def _open_notebook(page: Page, python: str) -> None:
    page.keyboard.press("Control+Shift+L")  # a new launcher
    page.locator(".jp-LauncherCard[data-category=Notebook]").first.click(timeout=START_TIMEOUT_MILLISECONDS)
    # A cell that is run before its kernel is there was seen to give nothing.
    page.get_by_text(f"Python {python} | Idle").wait_for(timeout=START_TIMEOUT_MILLISECONDS)


def _run(page: Page, code: str) -> str:
    """Type code into the first cell, run it, and return what stands below it."""
    page.locator(f"{VISIBLE_NOTEBOOK} .cm-content").first.click()
    page.keyboard.type(code)
    page.keyboard.press("Shift+Enter")
    output = page.locator(f"{VISIBLE_NOTEBOOK} .jp-OutputArea-output").first
    output.wait_for()
    return output.inner_text().strip()
