"""A kernel of a user's server, over the WebSocket that JupyterLab uses."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import websocket

from .hub import HubSession

CELL_TIMEOUT_SECONDS = 60.0


class CellError(AssertionError):
    """The code in a cell raised."""


@dataclass(frozen=True)
class Cell:
    """What a cell left: its printed output, and the text of its last expression."""

    stdout: str
    result: str


class Kernel:
    """A running kernel that executes one cell after the other."""

    def __init__(self, channel: websocket.WebSocket) -> None:
        self.channel = channel
        self.session = uuid.uuid4().hex

    def run(self, code: str, timeout_seconds: float = CELL_TIMEOUT_SECONDS) -> Cell:
        """Run a cell; CellError holds its traceback if it raises.

        See https://jupyter-client.readthedocs.io/en/stable/messaging.html#execute
        """
        request = uuid.uuid4().hex
        self.channel.send(json.dumps(self._message(request, code)))
        stdout, result = "", ""
        for message in self._answers(request, time.monotonic() + timeout_seconds):
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                stdout += content["text"]
            elif kind == "execute_result":
                result = content["data"]["text/plain"]
            elif kind == "error":
                raise CellError("\n".join([code, *content["traceback"]]))
        return Cell(stdout, result)

    def _message(self, request: str, code: str) -> dict[str, Any]:
        header = {
            "msg_id": request,
            "session": self.session,
            "username": "e2e",
            "date": "",
            "msg_type": "execute_request",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}

    def _answers(self, request: str, deadline: float) -> Iterator[dict[str, Any]]:
        """Yield the messages that answer a request, until the kernel has replied and is idle again."""
        awaited = {"execute_reply", "idle"}
        while awaited:
            self.channel.settimeout(max(deadline - time.monotonic(), 0.01))
            # The server's pings come back too: with recv() each of them would begin the timeout anew.
            kind, content = self.channel.recv_data(control_frame=True)
            if kind != websocket.ABNF.OPCODE_TEXT:
                continue
            message = json.loads(content)
            if message.get("parent_header", {}).get("msg_id") != request:
                continue
            yield message
            awaited -= {message["header"]["msg_type"], message["content"].get("execution_state")}


@contextmanager
def open_kernel(person: HubSession, name: str | None = None) -> Iterator[Kernel]:
    """Start a kernel of a person's server, the default one or that of a name, give it, and shut it down."""
    root = f"/user/{person.name}/api"
    answer = person.call("POST", f"{root}/kernels", json={"name": name} if name else {})
    assert answer.status_code == 201, f"{answer.status_code} {answer.text[:300]}"
    kernel = answer.json()["id"]
    channel = connect(person, f"{root}/kernels/{kernel}/channels")
    try:
        yield Kernel(channel)
    finally:
        channel.close()
        person.call("DELETE", f"{root}/kernels/{kernel}")


def connect(person: HubSession, path: str) -> websocket.WebSocket:
    """Open a WebSocket with a person's cookies; websocket.WebSocketBadStatusException if it is refused."""
    target = f"{person.address}{path}"
    request = person.requests.prepare_request(requests.Request("GET", target))
    return websocket.create_connection(
        target.replace("http", "ws", 1),
        cookie=request.headers.get("Cookie"),
        origin=person.address,
        host=urlsplit(target).netloc,
        header={"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Site": "same-origin"},
        timeout=CELL_TIMEOUT_SECONDS,
        enable_multithread=False,
    )
