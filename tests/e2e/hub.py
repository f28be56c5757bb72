"""A person at the hub's pages: forms are read and sent as a browser does, nothing goes around them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from bs4 import BeautifulSoup, Tag

PAGE_TIMEOUT_SECONDS = 30.0
START_TIMEOUT_SECONDS = 120.0
# What Chromium says with a click on a page of the same site, and with a script's call.
CLICK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}


class SpawnError(AssertionError):
    """The hub said that a server did not start, or did not say in time that it did."""


class Page:
    """One page that the hub showed: its status, where it was, and what stands on it."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self.address = response.url
        self.path = urlsplit(response.url).path
        self.soup = BeautifulSoup(response.content, "html.parser")
        self.text = " ".join(self.soup.get_text(" ").split())

    def form(self) -> Tag:
        """The page's form; an AssertionError shows the page's text if there is none."""
        form = self.soup.find("form")
        assert isinstance(form, Tag), f"{self.path} ({self.status}) has no form: {self.text[:300]}"
        return form

    def fields(self) -> dict[str, str]:
        """Return what the form's inputs hold, as a browser would send them untouched."""
        fields = {}
        for field in self.form().find_all("input"):
            unset = field.get("type") in {"radio", "checkbox"} and not field.has_attr("checked")
            if field.get("name") and field.get("type") != "submit" and not unset:
                fields[str(field["name"])] = str(field.get("value", ""))
        return fields

    def choices(self) -> dict[str, str]:
        """Return the spawn page's choices: the heading of each, and the value that its button sends."""
        labels = self.form().select("label.profile")
        return {_heading(label): str(label.select("input[type=radio]")[0]["value"]) for label in labels}


class HubSession:
    """One person's cookies at one hub."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.name = ""
        self.requests = requests.Session()

    def open(self, path: str) -> Page:
        """Open a page, as from a link on another page of the hub."""
        target = urljoin(self.address, path)
        headers = CLICK | {"Referer": f"{self.address}/hub/home"}
        return Page(self.requests.get(target, headers=headers, timeout=PAGE_TIMEOUT_SECONDS))

    def submit(self, page: Page, **fields: str) -> Page:
        """Fill a page's form in and send it."""
        form = page.form()
        unknown = set(fields) - {str(each.get("name")) for each in form.find_all("input")}
        assert not unknown, f"{page.path}: the form has no {sorted(unknown)}"
        target = urljoin(page.address, str(form.get("action") or page.address))
        headers = CLICK | {"Referer": page.address, "Origin": self.address}
        data = page.fields() | fields
        return Page(self.requests.post(target, data=data, headers=headers, timeout=PAGE_TIMEOUT_SECONDS))

    def sign_up(self, name: str, password: str) -> Page:
        """Ask for an account."""
        return self.submit(
            self.open("/hub/signup"), username=name, signup_password=password, signup_password_confirmation=password
        )

    def log_in(self, name: str, password: str) -> Page:
        """Send the login page; what comes back is the page after it, or the same with an error on it."""
        page = self.submit(self.open("/hub/login"), username=name, password=password)
        if page.status == 200 and not page.path.endswith("/login"):
            self.name = name
        return page

    def authorize(self, name: str) -> Page:
        """Press the button beside a name on the admin's page: it approves, or withdraws the approval."""
        row = self.open("/hub/authorize").soup.find(id=name)
        assert isinstance(row, Tag), f"{name} is not on the page /hub/authorize"
        return self.open(str(row.select("a[href*='/authorize/']")[0]["href"]))

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Call an API as the pages' scripts do, with the XSRF cookie of the page's path."""
        headers = SCRIPT | {"X-XSRFToken": self.xsrf(path), "Referer": f"{self.address}/hub/home"}
        timeout = arguments.pop("timeout", PAGE_TIMEOUT_SECONDS)
        return self.requests.request(method, urljoin(self.address, path), headers=headers, timeout=timeout, **arguments)

    def xsrf(self, path: str) -> str:
        """Return the XSRF cookie whose path is the nearest above `path`."""
        cookies = {each.path: each.value or "" for each in self.requests.cookies if each.name == "_xsrf"}
        above = [each for each in cookies if path.startswith(each)]
        return cookies[max(above, key=len)] if above else ""

    def pythons(self) -> dict[str, str]:
        """Return what the spawn page offers: heading and value."""
        return self.open("/hub/spawn").choices()

    def start_server(self, python: str) -> float:
        """Pick a Python on the spawn page and wait until the server's own page opens; return the seconds it took."""
        return self.start_profile(f"Python {python}")

    def start_profile(self, heading: str) -> float:
        """Do the same with any choice of the page, by its heading."""
        page = self.open("/hub/spawn")
        value = page.choices()[heading]
        began = time.monotonic()
        pending = self.submit(page, profile=value)
        assert pending.status == 200, f"{pending.path}: {pending.status} {pending.text[:300]}"
        if "/spawn-pending/" in pending.path:
            self.wait_until_started()
        lab = self.open(f"/user/{self.name}/lab")
        seconds = time.monotonic() - began
        assert (lab.status, lab.path) == (200, f"/user/{self.name}/lab"), f"{lab.path}: {lab.status} {lab.text[:300]}"
        return seconds

    def wait_until_started(self) -> None:
        """Follow the events behind the progress bar to their end; SpawnError tells them all if they end badly."""
        told = []
        for event in self.progress():
            told.append(f"{event.get('progress')}: {event.get('message')}")
            if event.get("ready"):
                return
            if event.get("failed"):
                break
        raise SpawnError("\n".join([f"the server of {self.name} did not start:", *told]))

    def progress(self) -> Iterator[dict[str, Any]]:
        """Yield the events of a starting server, for START_TIMEOUT_SECONDS at most."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        headers = SCRIPT | {"Accept": "text/event-stream", "X-XSRFToken": self.xsrf("/hub/")}
        path = f"{self.address}/hub/api/users/{self.name}/server/progress"
        with self.requests.get(path, headers=headers, stream=True, timeout=PAGE_TIMEOUT_SECONDS) as stream:
            assert stream.status_code == 200, f"{path}: {stream.status_code} {stream.text[:300]}"
            for line in stream.iter_lines(chunk_size=1, decode_unicode=True):
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))
                if time.monotonic() > deadline:
                    return

    def stop_server(self) -> None:
        """Press `Stop my server`: the page's script calls the hub's API, and 204 says that it has stopped."""
        path = f"/hub/api/users/{self.name}/server"
        answer = self.call("DELETE", path, timeout=60)
        assert answer.status_code in {202, 204}, answer.text
        deadline = time.monotonic() + 60
        while self.call("GET", f"/hub/api/users/{self.name}").json()["servers"]:
            assert time.monotonic() < deadline, f"the server of {self.name} did not stop in 60 s"
            time.sleep(0.2)


def _heading(label: Tag) -> str:
    heading = label.find("h3")
    return heading.get_text(strip=True) if heading else label.get_text(" ", strip=True)
