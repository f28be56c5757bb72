"""From sign-up to a cell's output, on the hub's real pages."""

from __future__ import annotations

import secrets
import stat

import pytest
import websocket

from kubelab_helpers.release.deploy import NAMESPACE

from .hub import HubSession
from .kernel import connect, open_kernel
from .lab import Lab, pythons_of, read_lab
from .people import People
from .pods import find_pod
from .waiting import wait_until

PYTHONS = pythons_of(read_lab().spec)
CULLER = "jupyterhub-idle-culler@"
CULLER_TIMEOUT_SECONDS = 60.0
VERSION = "import sys; sys.version_info[:2]"

Spawns = list[tuple[str, float]]


def test_admin_of_the_generated_secret_logs_in(lab: Lab, admin: HubSession) -> None:
    """The admin is one in the hub's eyes, and the operator's copy of the password is readable by its owner only."""
    file = lab.folder / "admin-password"
    assert admin.call("GET", "/hub/api/user").json()["admin"] is True
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == lab.admin()[1]


def test_wrong_password_is_refused(lab: Lab, people: People) -> None:
    """Neither the admin nor an approved person gets in with another password."""
    person = people.approved("typo")
    for name in (person.name, lab.admin()[0]):
        session = HubSession(lab.address)
        page = session.log_in(name, secrets.token_urlsafe(18))
        assert (page.status, session.name) == (403, "")
        assert "Invalid username or password" in page.text
        assert session.call("GET", "/hub/api/user").status_code == 403


def test_sign_up_waits_for_approval(lab: Lab, people: People, admin: HubSession) -> None:
    """A newcomer is told to wait, gets in once the admin has approved, and is no admin."""
    account, session = people.invent("newcomer"), HubSession(lab.address)
    assert "sent to the admin" in session.sign_up(account.name, account.password).text

    refused = session.log_in(account.name, account.password)
    assert (refused.status, session.name) == (403, "")
    assert "has not been authorized by an administrator yet" in refused.text

    assert admin.authorize(account.name).status == 200
    assert session.log_in(account.name, account.password).path == "/hub/spawn"
    assert session.call("GET", "/hub/api/user").json()["admin"] is False
    assert session.open("/hub/authorize").status in {403, 404}


def test_sign_up_refuses_a_weak_password_and_a_taken_name(lab: Lab, people: People, admin: HubSession) -> None:
    """Neither makes an account; a taken name leaves the password of its owner alone."""
    account, session = people.invent("weak"), HubSession(lab.address)
    assert "at least 8 characters" in session.sign_up(account.name, "short").text
    assert account.name not in admin.open("/hub/authorize").text
    assert "already in use" in session.sign_up(lab.admin()[0], account.password).text
    assert session.log_in(lab.admin()[0], account.password).status == 403


def test_spawn_page_offers_the_pythons_of_the_lab(admin: HubSession) -> None:
    """Each is there once, with at least one old and one new Python to pick from."""
    offered = admin.pythons()
    assert sorted(offered) == sorted(f"Python {version}" for version in PYTHONS)
    assert len(set(offered.values())) == len(offered)
    assert {"Python 3.11", "Python 3.13"} <= set(offered)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_python_picked_is_the_python_that_runs(python: str, people: People, spawns: Spawns) -> None:
    """sys.version_info in a cell is the version asked for on the spawn page, and nothing but one kernel is offered."""
    person = people.approved(f"py{python.replace('.', '')}")
    spawns.append((f"first start with Python {python}", person.start_server(python)))
    with open_kernel(person) as kernel:
        assert kernel.run(VERSION).result == f"({python.replace('.', ', ')})"
        assert kernel.run("print(sum(range(10)))").stdout == "45\n"
    specs = person.call("GET", f"/user/{person.name}/api/kernelspecs").json()["kernelspecs"]
    assert [python in spec["spec"]["display_name"] for spec in specs.values()] == [True]
    person.stop_server()


def test_home_survives_a_stop_and_another_python(people: People, spawns: Spawns) -> None:
    """A file written with one Python is there after the server was stopped and started with the other."""
    person, content = people.approved("home"), secrets.token_hex(16)
    before, after = PYTHONS[0], PYTHONS[-1]
    person.start_server(before)
    with open_kernel(person) as kernel:
        kernel.run(f"from pathlib import Path; Path('notes.txt').write_text({content!r})")
    person.stop_server()

    spawns.append((f"second start, with Python {after}", person.start_server(after)))
    with open_kernel(person) as kernel:
        assert kernel.run(VERSION).result == f"({after.replace('.', ', ')})"
        assert kernel.run("from pathlib import Path; Path('notes.txt').read_text()").result == repr(content)
    person.stop_server()


@pytest.mark.parametrize("path", ["lab", "api/status", "api/contents", "files/notes.txt"])
def test_stranger_is_kept_out_of_a_server(path: str, ada: HubSession, ben: HubSession) -> None:
    """Somebody else, logged in and with a server of their own, gets 403 or 404; the owner does get in."""
    assert ben.open(f"/user/{ada.name}/{path}").status in {403, 404}
    assert ada.call("GET", f"/user/{ada.name}/api/status").status_code == 200


def test_stranger_is_kept_out_of_a_kernel(ada: HubSession, ben: HubSession) -> None:
    """Not over the API, nor over the WebSocket of a kernel that the owner has open."""
    root = f"/user/{ada.name}/api/kernels"
    assert ben.call("POST", root, json={}).status_code in {403, 404}
    with open_kernel(ada) as kernel:
        assert kernel.run("1 + 1").result == "2"
        running = ada.call("GET", root).json()[0]["id"]
        with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
            connect(ben, f"{root}/{running}/channels")
    assert refusal.value.status_code in {403, 404}


def test_nobody_gets_in_without_logging_in(lab: Lab, ada: HubSession) -> None:
    """Pages lead to the login page, APIs answer 403."""
    visitor = HubSession(lab.address)
    assert visitor.open(f"/user/{ada.name}/lab").path == "/hub/login"
    assert visitor.open("/hub/admin").path == "/hub/login"
    assert visitor.call("GET", f"/user/{ada.name}/api/contents").status_code == 403
    assert visitor.call("GET", "/hub/api/users").status_code == 403


def test_culler_reaches_the_hub(lab: Lab) -> None:
    """It looks for idle servers when the hub starts: through the network policies, and with the rights it needs."""
    hub = find_pod(lab, {"app.kubernetes.io/component": "hub"})

    def read_looks() -> list[str]:
        log = lab.core.read_namespaced_pod_log(hub.name, NAMESPACE).splitlines()
        return [line for line in log if CULLER in line and "GET /hub/api/users" in line]

    assert " 200 GET " in wait_until("the culler asks who is idle", read_looks, CULLER_TIMEOUT_SECONDS)[-1]
