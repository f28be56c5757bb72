"""Who may log in: an admin from a Secret, and whoever signed up and was approved by an admin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bcrypt
import nativeauthenticator
from jupyterhub.orm import Base
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column
from tornado import web
from traitlets import Unicode

from kubelab_hub.login import HANDLERS
from kubelab_hub.settings import ADMIN_FOLDER, Settings, read_admin, stop

BCRYPT_LIMIT_BYTES = 72
"""bcrypt reads no more; bcrypt 5 refuses longer passwords with a ValueError."""


class AdminSeed(Base):  # type: ignore[misc]  # jupyterhub has no types
    """Which password of the Secret was last given to the admin, as a bcrypt hash."""

    __tablename__ = "kubelab_admin_seed"
    username: Mapped[str] = mapped_column(String(128), primary_key=True)
    password: Mapped[bytes] = mapped_column(LargeBinary)


class ApprovedAuthenticator(NativeAuthenticator):  # type: ignore[misc]  # nativeauthenticator has no types
    """NativeAuthenticator with an admin from a Secret, and with approval that holds for everybody.

    The Secret's password is given to the admin once for each of its values: a password changed on the page
    survives a restart, a password changed in the Secret is taken over at the next start.
    """

    admin_folder = Unicode(str(ADMIN_FOLDER), config=True, help="Where the admin's Secret is mounted.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        admin = read_admin(Path(self.admin_folder))
        self.seed_admin(self.normalize_username(admin.username), admin.password.encode())

    def seed_admin(self, username: str, password: bytes) -> None:
        """Make the admin's account, or give it the Secret's new password."""
        AdminSeed.__table__.create(self.db.bind, checkfirst=True)
        seed = self.db.get(AdminSeed, username) or AdminSeed(username=username)
        info = self.get_user(username) or UserInfo(username=username)
        if info.id and seed.password and bcrypt.checkpw(password, seed.password):
            return
        seed.password = info.password = bcrypt.hashpw(password, bcrypt.gensalt())
        info.is_authorized = True
        self.db.add_all([seed, info])
        self.db.commit()
        self.log.info("The admin %s has the password of the Secret", username)

    def get_authed_users(self) -> set[str]:
        """Return who was approved, and nobody for being named in `admin_users`.

        NativeAuthenticator 1.3.0 approves a sign-up under the name of any admin that has no account yet.
        """
        return {info.username for info in UserInfo.all_users(self.db) if info.is_authorized}

    def is_password_strong(self, password: str) -> bool:
        """Return whether a new password is long enough, not common, and within what bcrypt reads."""
        return len(password.encode()) <= BCRYPT_LIMIT_BYTES and bool(super().is_password_strong(password))

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """Return the user's name if the account is approved and the password right.

        Raises HTTPError, whose text the login page shows, for one that waits and for an endless password.
        """
        if len(data["password"].encode()) > BCRYPT_LIMIT_BYTES:
            raise web.HTTPError(400, f"A password has {BCRYPT_LIMIT_BYTES} bytes at most.")
        if username := await super().authenticate(handler, data):
            return str(username)
        if self.is_waiting(data["username"], data["password"]):
            raise web.HTTPError(403, f"User {data['username']} has not been authorized by an administrator yet.")
        return None

    def is_waiting(self, username: str, password: str) -> bool:
        """Return whether the password is right and only the approval is missing."""
        if self.allowed_failed_logins and self.is_blocked(self.normalize_username(username)):
            return False
        info = self.get_user(username)
        return info is not None and not info.is_authorized and bool(info.is_valid_password(password))

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """Return NativeAuthenticator's pages, with ours in place of what login.py mends."""
        return [(path, HANDLERS.get(path, handler)) for path, handler in super().get_handlers(app)]

    async def refresh_user(self, user: Any, handler: Any = None) -> bool:  # noqa: ARG002  # JupyterHub's signature
        """Return whether the account is still approved: a withdrawn approval ends open sessions too.

        Who was added on the admin page and never signed up has no account here, and no session to end.
        """
        info = self.get_user(user.name)
        return info is None or bool(info.is_authorized)


def configure_authentication(c: Any, settings: Settings) -> None:
    """Add the Secret's admin to the admins, and put our class where `native` stands."""
    admins = c.Authenticator.get("admin_users", set())
    c.Authenticator.admin_users = {*admins, settings.admin.username.lower()}
    if c.JupyterHub.get("authenticator_class") != "native":
        return
    if len(settings.admin.password.encode()) > BCRYPT_LIMIT_BYTES:
        stop(f"the admin's password has more than {BCRYPT_LIMIT_BYTES} bytes; shorten it in the Secret")
    c.JupyterHub.authenticator_class = ApprovedAuthenticator
    # Its page.html adds "Authorize Users" and "Change Password" to the bar at the top.
    templates = Path(nativeauthenticator.__file__).parent / "templates"
    c.JupyterHub.template_paths = [*c.JupyterHub.get("template_paths", []), str(templates)]
    # Approval is the list of who may log in; `allow_all` adds nobody to it.
    c.NativeAuthenticator.setdefault("allow_all", True)
    # Seconds until a withdrawn approval is seen; it costs one look into the database.
    c.NativeAuthenticator.setdefault("auth_refresh_age", 60)
