"""NativeAuthenticator's pages, made right for JupyterHub 6 and for browsers that visit other sites too."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from jupyterhub.handlers.login import LoginHandler as HubLoginHandler
from nativeauthenticator.handlers import DiscardHandler, LoginHandler, ToggleAuthorizationHandler
from tornado import web
from tornado.escape import url_escape


class ApprovedLoginHandler(LoginHandler):  # type: ignore[misc]  # nativeauthenticator has no types
    """The login page: NativeAuthenticator's form with JupyterHub's own processing.

    NativeAuthenticator 1.3.0 uses `self.statsd`, which JupyterHub 6 no longer has, and answers a failed login
    with 200.
    """

    post = HubLoginHandler.post

    def _render(self, login_error: str | None = None, username: str | None = None, **kwargs: Any) -> Any:
        """Return the page; `kwargs` carries `sync` when JupyterHub renders an error into the form."""
        return self.render_template(
            "native-login.html",
            next=url_escape(self.get_argument("next", default="")),
            username=username,
            login_error=login_error,
            login_url=self.settings["login_url"],
            enable_signup=self.authenticator.enable_signup,
            two_factor_auth=self.authenticator.allow_2fa,
            **kwargs,
        )


def is_foreign(headers: Any, host: str) -> bool:
    """Return whether a browser says that another site's page sent the request; scripts say nothing."""
    if site := headers.get("Sec-Fetch-Site"):
        return site not in {"same-origin", "none"}
    referer = headers.get("Referer")
    return bool(referer) and urlsplit(referer).netloc != host


class OwnPageMixin:
    """Refuses other sites' pages: NativeAuthenticator 1.3.0 approves and discards on a mere GET."""

    async def prepare(self) -> None:
        """Stop a foreign request before its handler runs."""
        await super().prepare()  # type: ignore[misc]  # the handler's
        if is_foreign(self.request.headers, self.request.host):  # type: ignore[attr-defined]  # the handler's
            raise web.HTTPError(403, "Approve and discard accounts on the hub's own page.")


class ApprovalHandler(OwnPageMixin, ToggleAuthorizationHandler):  # type: ignore[misc]  # no types
    """Approves an account, or withdraws its approval."""


class RefusalHandler(OwnPageMixin, DiscardHandler):  # type: ignore[misc]  # no types
    """Discards an account that nobody approved."""


HANDLERS = {
    r"/login": ApprovedLoginHandler,
    r"/authorize/([^/]*)": ApprovalHandler,
    r"/discard/([^/]*)": RefusalHandler,
}
"""Ours, by the path of the one each replaces."""
