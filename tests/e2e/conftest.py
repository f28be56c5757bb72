"""The lab under test, an admin at its hub, and people with servers. Everything that is made here is removed here."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import requests
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from .hub import HubSession
from .lab import Lab, read_lab
from .people import People

SPAWNS = pytest.StashKey[list[tuple[str, float]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SPAWNS] = []
    # Of requests, and of websocket-client: a hub by HTTPS is believed by its CA alone, as a browser believes it.
    authority = read_lab().authority
    if authority.exists():
        os.environ.update(REQUESTS_CA_BUNDLE=str(authority), WEBSOCKET_CLIENT_CA_BUNDLE=str(authority))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how long each server took from the click to its page."""
    for name, seconds in config.stash[SPAWNS]:
        terminalreporter.write_line(f"{name}: {seconds:.1f} s from the click on Start to JupyterLab's page")


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab, which must be up."""
    lab = read_lab()
    if problem := _find_problem(lab):
        pytest.fail(
            f"there is no lab to test: {problem}\nRun `make up` first; `kubelab status` says more.", pytrace=False
        )
    return lab


def _find_problem(lab: Lab) -> str:
    """Return why the lab cannot be tested, or nothing."""
    try:
        status = requests.get(f"{lab.address}/hub/health", timeout=10).status_code
        lab.core.list_node(_request_timeout=10)
    except (requests.RequestException, HTTPError, ConfigException, ApiException) as error:
        return f"{type(error).__name__}: {error}"
    return "" if status == 200 else f"{lab.address}/hub/health answers {status}"


@pytest.fixture(scope="session")
def admin(lab: Lab) -> HubSession:
    """The admin of the generated Secret, logged in on the page."""
    session = HubSession(lab.address)
    name, password = lab.admin()
    page = session.log_in(name, password)
    assert session.name == name, f"the admin is refused: {page.status} {page.text[:300]}"
    return session


@pytest.fixture(scope="session")
def people(lab: Lab, admin: HubSession) -> Iterator[People]:
    """Makes accounts; their homes are gone when the session ends."""
    people = People(lab, admin)
    yield people
    people.remove_all()


@pytest.fixture(scope="session")
def spawns(request: pytest.FixtureRequest) -> list[tuple[str, float]]:
    """Where tests note how long a server took to start."""
    return request.config.stash[SPAWNS]


@pytest.fixture(scope="session")
def ada(people: People, spawns: list[tuple[str, float]]) -> HubSession:
    """Somebody with a server that runs for the whole session."""
    return _with_server(people, "ada", spawns)


@pytest.fixture(scope="session")
def ben(people: People, spawns: list[tuple[str, float]]) -> HubSession:
    """Somebody else with a server."""
    return _with_server(people, "ben", spawns)


def _with_server(people: People, name: str, spawns: list[tuple[str, float]]) -> HubSession:
    person = people.approved(name)
    first = next(iter(person.pythons())).removeprefix("Python ")
    spawns.append((f"first start of {name}", person.start_server(first)))
    return person
