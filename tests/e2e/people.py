"""People who exist for one run of the tests: made on the hub's pages, and removed with their homes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from kubelab_helpers.release.deploy import NAMESPACE

from .hub import HubSession
from .lab import Lab
from .waiting import wait_until

REMOVAL_TIMEOUT_SECONDS = 90.0


@dataclass(frozen=True)
class Account:
    """A name that nobody else has, and a password."""

    name: str
    password: str = field(repr=False)


class People:
    """Makes accounts and forgets none of them."""

    def __init__(self, lab: Lab, admin: HubSession) -> None:
        self.lab = lab
        self.admin = admin
        self.run = secrets.token_hex(3)
        self.accounts: list[Account] = []

    def invent(self, name: str) -> Account:
        """Return an account that nobody has asked for yet, to be removed at the end."""
        account = Account(f"e2e-{name}-{self.run}", secrets.token_urlsafe(18))
        self.accounts.append(account)
        return account

    def approved(self, name: str) -> HubSession:
        """Sign up, be approved by the admin, and log in."""
        account, session = self.invent(name), HubSession(self.lab.address)
        session.sign_up(account.name, account.password)
        self.admin.authorize(account.name)
        page = session.log_in(account.name, account.password)
        assert session.name == account.name, f"{account.name} was approved, but: {page.status} {page.text[:300]}"
        return session

    def remove(self, account: Account) -> list[str]:
        """Remove an account with its server and home; return the names of the volumes that are now going away."""
        volumes = self.doom_volumes(account.name)
        answer = self.admin.call("DELETE", f"/hub/api/users/{account.name}", timeout=60)
        assert answer.status_code in {204, 404}, f"{account.name}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code == 404:
            self.admin.open(f"/hub/discard/{account.name}")
        return volumes

    def remove_all(self) -> None:
        """Remove everybody, and wait until the folders of their homes have left the nodes."""
        volumes = {volume for account in self.accounts for volume in self.remove(account)}
        wait_until("the homes are removed", lambda: not self.still_there(volumes), REMOVAL_TIMEOUT_SECONDS)

    def doom_volumes(self, name: str) -> list[str]:
        """Let a home go with its claim: the chart's class keeps it, for people who are real."""
        claims = self.lab.core.list_namespaced_persistent_volume_claim(NAMESPACE).items
        volumes = [
            each.spec.volume_name
            for each in claims
            if (each.metadata.annotations or {}).get("hub.jupyter.org/username") == name and each.spec.volume_name
        ]
        for volume in volumes:
            self.lab.core.patch_persistent_volume(volume, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
        return volumes

    def still_there(self, volumes: set[str]) -> set[str]:
        """Return those of the volumes that are in the cluster; one leaves it after its folder."""
        return volumes & {each.metadata.name for each in self.lab.core.list_persistent_volume().items}
