"""Who gets in: the Secret's admin, and whoever was approved; against the real NativeAuthenticator and SQLite."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import jupyterhub.orm
import pytest
from tornado import web
from tornado.httputil import HTTPHeaders

PASSWORD = "a password of four words"


def write_admin(folder: Path, password: str, username: str = "Ada") -> None:
    """Write the admin's Secret as a kubelet mounts it."""
    (folder / "username").write_text(username)
    (folder / "password").write_text(password)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that makes the authenticator anew on one database, as a start of the hub does."""
    # Four rounds instead of twelve: these tests ask who gets in, not how slow a guess is.
    monkeypatch.setattr("bcrypt.gensalt", functools.partial(bcrypt.gensalt, rounds=4))
    from kubelab_hub.authentication import ApprovedAuthenticator

    write_admin(tmp_path, PASSWORD)
    session = jupyterhub.orm.new_session_factory("sqlite:///:memory:")()

    def make(**traits: Any) -> Any:
        return ApprovedAuthenticator(db=session, admin_folder=str(tmp_path), allow_all=True, **traits)

    return make


def log_in(authenticator: Any, username: str, password: str) -> str | None:
    """Return the name under which somebody gets in, or None; raises HTTPError with the page's text."""
    answer = asyncio.run(authenticator.get_authenticated_user(None, {"username": username, "password": password}))
    return answer["name"] if answer else None


def test_the_admin_of_the_secret_gets_in(start: Callable[..., Any]) -> None:
    """Under the normalised name, with the Secret's password and no other."""
    authenticator = start()
    assert log_in(authenticator, "ADA", PASSWORD) == "ada"
    assert log_in(authenticator, "ada", "another password") is None


def test_a_restart_keeps_a_password_changed_on_the_page(start: Callable[..., Any]) -> None:
    """The Secret's old password must not come back."""
    assert start().change_password("ada", "changed on the page")
    authenticator = start()
    assert log_in(authenticator, "ada", "changed on the page") == "ada"
    assert log_in(authenticator, "ada", PASSWORD) is None


def test_a_password_changed_in_the_secret_is_taken_over(start: Callable[..., Any], tmp_path: Path) -> None:
    """The way back in for an admin who lost theirs."""
    start().change_password("ada", "changed on the page")
    write_admin(tmp_path, "changed in the Secret")
    authenticator = start()
    assert log_in(authenticator, "ada", "changed in the Secret") == "ada"
    assert log_in(authenticator, "ada", "changed on the page") is None


def test_an_admin_without_account_is_made_again(start: Callable[..., Any]) -> None:
    """Somebody deleted it on the admin page."""
    authenticator = start()
    authenticator.db.delete(authenticator.get_user("ada"))
    authenticator.db.commit()
    assert log_in(start(), "ada", PASSWORD) == "ada"


def test_who_signed_up_waits_for_approval(start: Callable[..., Any]) -> None:
    """With the right password they are told so; with a wrong one nothing is told."""
    from nativeauthenticator.orm import UserInfo

    authenticator = start()
    assert authenticator.create_user("bob", "correct horse battery")
    with pytest.raises(web.HTTPError, match="has not been authorized by an administrator yet") as refused:
        log_in(authenticator, "bob", "correct horse battery")
    assert refused.value.status_code == 403
    assert log_in(authenticator, "bob", "wrong") is None
    UserInfo.change_authorization(authenticator.db, "bob")
    assert log_in(authenticator, "bob", "correct horse battery") == "bob"


def test_a_withdrawn_approval_ends_the_session(start: Callable[..., Any]) -> None:
    """`refresh_user` is what JupyterHub asks during a session."""
    from nativeauthenticator.orm import UserInfo

    class User:
        name = "ada"

    authenticator = start()
    assert asyncio.run(authenticator.refresh_user(User())) is True
    UserInfo.change_authorization(authenticator.db, "ada")
    assert asyncio.run(authenticator.refresh_user(User())) is False
    User.name = "added on the admin page"
    assert asyncio.run(authenticator.refresh_user(User())) is True


def test_signing_up_under_an_admins_name_gives_nothing(start: Callable[..., Any]) -> None:
    """NativeAuthenticator alone would approve `carol` at once, and so make her who signs up first an admin."""
    authenticator = start(admin_users={"ada", "carol"})
    assert authenticator.create_user("carol", "correct horse battery")
    with pytest.raises(web.HTTPError, match="has not been authorized"):
        log_in(authenticator, "carol", "correct horse battery")


@pytest.mark.parametrize("password", ["x" * 73, "ä" * 37])
def test_a_password_beyond_bcrypt_is_refused_in_words(start: Callable[..., Any], password: str) -> None:
    """Bcrypt 5 raises ValueError for it: sign-up says no, log-in says why."""
    authenticator = start()
    assert authenticator.create_user("bob", password) is None
    with pytest.raises(web.HTTPError, match="72 bytes at most"):
        log_in(authenticator, "ada", password)


def test_guessing_is_slowed_down_and_not_told_of_approval(start: Callable[..., Any]) -> None:
    """After the allowed failures even the right password is not looked at."""
    authenticator = start(allowed_failed_logins=2, seconds_before_next_try=60)
    authenticator.create_user("bob", "correct horse battery")
    for _ in range(2):
        assert log_in(authenticator, "bob", "wrong") is None
    assert log_in(authenticator, "bob", "correct horse battery") is None


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Referer": "http://hub:30080/hub/authorize"}, False),
        ({"Referer": "http://elsewhere/hub/authorize"}, True),
    ],
)
def test_another_sites_page_cannot_approve(headers: dict[str, str], foreign: bool) -> None:
    """Approval is a GET in NativeAuthenticator: a link in a mail would do."""
    from kubelab_hub.login import is_foreign

    assert is_foreign(HTTPHeaders(headers), "hub:30080") is foreign


def test_the_mended_pages_take_the_place_of_theirs(start: Callable[..., Any]) -> None:
    """Under the same paths; a path that NativeAuthenticator renames would lose its guard."""
    from kubelab_hub.login import HANDLERS

    handlers = dict(start().get_handlers(None))
    assert {path: handlers[path] for path in HANDLERS} == HANDLERS
