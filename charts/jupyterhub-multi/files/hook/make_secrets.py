"""Make the release's Secrets in the cluster, once: what is there is left alone. Run by a Helm hook Job."""

# ruff: noqa: T201  # a pod's log is where it reports
from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_asyncio import client, config
from kubernetes_asyncio.client.exceptions import ApiException

REACHABLE_SECONDS = 60

GENERATORS = {
    "hex32": lambda: secrets.token_hex(32),
    "password": lambda: secrets.token_urlsafe(18),
}
"""How each kind of random value is made: 32 bytes in hexadecimal; a password of 24 characters."""


def make_secret(spec: Mapping[str, Any]) -> client.V1Secret:
    """Return the Secret that `spec` (templates/secret/_secrets.tpl) describes, with new random values."""
    random = {key: GENERATORS[kind]() for key, kind in spec["random"].items()}
    return client.V1Secret(
        metadata=client.V1ObjectMeta(name=spec["name"], labels=spec["labels"]),
        type="Opaque",
        string_data={**spec["plain"], **random},
    )


async def probe_secret(api: client.CoreV1Api, namespace: str, name: str) -> set[str] | None:
    """Return the keys of a Secret, or None if it does not exist."""
    try:
        secret = await api.read_namespaced_secret(name, namespace)
    except ApiException as error:
        if error.status == 404:
            return None
        raise
    return set(secret.data or {})


async def apply_secret(api: client.CoreV1Api, namespace: str, spec: Mapping[str, Any]) -> str:
    """Create one Secret if it is absent, and return what was done; ValueError if a key is missing in it."""
    wanted = {*spec["random"], *spec["plain"]}
    keys = await probe_secret(api, namespace, spec["name"])
    if keys is None:
        await api.create_namespaced_secret(namespace, make_secret(spec))
        return f"Secret {spec['name']}: created"
    if missing := sorted(wanted - keys):
        raise ValueError(f"Secret {spec['name']} lacks {', '.join(missing)}; add them, or delete it and upgrade again")
    return f"Secret {spec['name']}: already there, left alone"


async def wait_until_reachable(api: client.CoreV1Api, namespace: str, name: str) -> None:
    """Block until the API server answers: a network may let a new pod through only seconds after its start."""
    deadline = time.monotonic() + REACHABLE_SECONDS
    while True:
        try:
            await probe_secret(api, namespace, name)
        except aiohttp.ClientError as error:
            if time.monotonic() > deadline:
                raise
            print(f"the API server is not reachable yet: {error}", file=sys.stderr)
            await asyncio.sleep(1)
        else:
            return


async def apply_secrets(namespace: str, specs: list[Mapping[str, Any]]) -> None:
    """Create the Secrets that are absent."""
    config.load_incluster_config()  # type: ignore[no-untyped-call]  # the library has no types there
    async with client.ApiClient() as api_client:
        api = client.CoreV1Api(api_client)
        await wait_until_reachable(api, namespace, specs[0]["name"])
        for spec in specs:
            print(await apply_secret(api, namespace, spec))


def main() -> int:
    """Read the arguments and make the Secrets; the exit status is 1 if that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--secrets", required=True, type=Path)
    arguments = parser.parse_args()
    try:
        asyncio.run(apply_secrets(arguments.namespace, json.loads(arguments.secrets.read_text())))
    except aiohttp.ClientError as error:
        hint = "networkPolicy.apiServer names the addresses that may be reached"
        print(f"no answer from the API server in {REACHABLE_SECONDS} s: {error}; {hint}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except ApiException as error:
        # The body names the account and the verb it lacks, and never a value.
        print(f"the API server answered {error.status} {error.reason}: {error.body!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
