"""The hook's script against a made-up API: create if absent, never overwrite, never tell."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import V1ObjectMeta, V1Secret
from kubernetes_asyncio.client.exceptions import ApiException

from .conftest import CHART, Render


class Api:
    """Secrets in a dictionary, with the two calls that the hook's Role allows."""

    def __init__(self) -> None:
        self.secrets: dict[str, V1Secret] = {}

    async def read_namespaced_secret(self, name: str, namespace: str) -> V1Secret:
        """As the API: 404 if absent."""
        assert namespace == "jupyterhub"
        if name not in self.secrets:
            raise ApiException(status=404, reason="Not Found")
        return self.secrets[name]

    async def create_namespaced_secret(self, namespace: str, body: V1Secret) -> None:
        """As the API: a conflict if present."""
        assert namespace == "jupyterhub"
        assert body.metadata.name not in self.secrets
        data = dict.fromkeys(body.string_data, "")
        self.secrets[body.metadata.name] = V1Secret(metadata=body.metadata, string_data=body.string_data, data=data)


@pytest.fixture(scope="module")
def script() -> Any:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("make_secrets", CHART / "files" / "hook" / "make_secrets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def specs(default: Render) -> list[dict[str, Any]]:
    """Return what the chart tells the script."""
    return list(json.loads(default.get("ConfigMap", "jupyterhub-make-secrets")["data"]["secrets.json"]))


def apply(script: Any, api: Api, specs: list[dict[str, Any]]) -> list[str]:
    """Run the script's work for every Secret; returns what it says."""
    return [asyncio.run(script.apply_secret(api, "jupyterhub", spec)) for spec in specs]


def test_each_value_is_made_as_the_hub_reads_it(script: Any, specs: list[dict[str, Any]]) -> None:
    """32 bytes in hexadecimal for cookie secret, crypto key and token; the admin's name as given."""
    api = Api()
    apply(script, api, specs)
    hub = api.secrets["jupyterhub-hub-secret"].string_data
    assert {key: len(bytes.fromhex(value)) for key, value in hub.items()} == dict.fromkeys(hub, 32)
    assert len(set(hub.values())) == 3
    admin = api.secrets["jupyterhub-hub-admin"].string_data
    assert admin["username"] == "admin"
    assert len(admin["password"]) >= 20


def test_a_second_run_changes_nothing(script: Any, specs: list[dict[str, Any]]) -> None:
    """An upgrade must not log everybody out."""
    api = Api()
    apply(script, api, specs)
    before = dict(api.secrets)
    said = apply(script, api, specs)
    assert api.secrets == before
    assert all("left alone" in line for line in said)


def test_nothing_secret_is_said(script: Any, specs: list[dict[str, Any]]) -> None:
    """A Job's log is kept."""
    api = Api()
    said = "\n".join(apply(script, api, specs))
    values = [value for secret in api.secrets.values() for value in secret.string_data.values() if len(value) > 10]
    assert values
    assert not any(value in said for value in values)


def test_a_secret_that_lacks_a_key_is_named(script: Any, specs: list[dict[str, Any]]) -> None:
    """The hub could not start; better to stop before it is replaced."""
    api = Api()
    api.secrets["jupyterhub-hub-secret"] = V1Secret(metadata=V1ObjectMeta(name="x"), data={"crypt-key": ""})
    with pytest.raises(ValueError, match="jupyterhub-hub-secret lacks cookie-secret, proxy-token"):
        apply(script, api, specs)


def test_what_the_api_refuses_is_not_taken_for_absence(script: Any, specs: list[dict[str, Any]]) -> None:
    """Only 404 means absent."""

    class Forbidden(Api):
        async def read_namespaced_secret(self, name: str, namespace: str) -> V1Secret:
            raise ApiException(status=403, reason=f"{namespace}/{name}")

    with pytest.raises(ApiException):
        apply(script, Forbidden(), specs)


def test_a_network_that_opens_late_is_waited_for(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies reach a node seconds after the pod; each answer counts, an absent Secret's too."""

    class Late(Api):
        failures = 2

        async def read_namespaced_secret(self, name: str, namespace: str) -> V1Secret:
            if self.failures:
                self.failures -= 1
                raise aiohttp.ClientConnectionError("no route")
            return await super().read_namespaced_secret(name, namespace)

    async def no_wait(_: float) -> None:
        """Pass at once."""

    api = Late()
    monkeypatch.setattr(script.asyncio, "sleep", no_wait)
    asyncio.run(script.wait_until_reachable(api, "jupyterhub", "absent"))
    assert api.failures == 0


def test_a_network_that_never_opens_is_told(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the deadline the error comes through."""

    class Never(Api):
        async def read_namespaced_secret(self, name: str, namespace: str) -> V1Secret:
            raise aiohttp.ClientConnectionError(f"no route to {namespace}/{name}")

    monkeypatch.setattr(script, "REACHABLE_SECONDS", -1)
    with pytest.raises(aiohttp.ClientConnectionError, match="no route"):
        asyncio.run(script.wait_until_reachable(Never(), "jupyterhub", "absent"))
