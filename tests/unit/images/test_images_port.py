"""Who holds a port: a real socket of this process."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.port import probe_port_holder, require_free_port


def engine_with(*containers: SimpleNamespace) -> Any:
    return cast("Any", SimpleNamespace(containers=SimpleNamespace(list=lambda: list(containers))))


def test_a_process_is_named_and_a_free_port_is_free() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        assert f"(process {os.getpid()})" in str(probe_port_holder(engine_with(), port))
        with pytest.raises(BlockedError, match=rf"port {port} .* is held by .*process {os.getpid()}"):
            require_free_port(engine_with(), port)
    assert probe_port_holder(engine_with(), port) is None


def test_a_container_is_named_rather_than_the_engines_forwarder() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        other = SimpleNamespace(name="other", ports={"80/tcp": None})
        owner = SimpleNamespace(name="owner", ports={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]})
        assert probe_port_holder(engine_with(other, owner), port) == "the container owner"
