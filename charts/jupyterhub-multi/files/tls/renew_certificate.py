"""Make the server's certificate, and make it anew before it ends; a good one is left alone. For hook and CronJob."""

# ruff: noqa: T201  # a pod's log is where it reports
from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from certificates import KeyPair, find_reason, is_usable, issue, make_authority
from kubernetes_asyncio import client, config
from kubernetes_asyncio.client.exceptions import ApiException

REACHABLE_SECONDS = 60
CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


class Secrets:
    """The two Secrets, through the API."""

    def __init__(self, api: client.CoreV1Api, namespace: str, labels: Mapping[str, str]) -> None:
        self._api, self._namespace, self._labels = api, namespace, labels

    async def read(self, name: str) -> dict[str, bytes] | None:
        """Return what a Secret holds, or None if it is not there; waits until the network lets a new pod through."""
        deadline = asyncio.get_running_loop().time() + REACHABLE_SECONDS
        while True:
            try:
                secret = await self._api.read_namespaced_secret(name, self._namespace)
            except ApiException as error:
                if error.status == 404:
                    return None
                raise
            except aiohttp.ClientError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(1)
            else:
                return {key: base64.b64decode(value) for key, value in (secret.data or {}).items()}

    async def write(self, name: str, data: Mapping[str, bytes], *, exists: bool) -> None:
        """Make a Secret, or replace what it holds, all at once."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        if exists:
            await self._api.patch_namespaced_secret(name, self._namespace, {"data": encoded})
            return
        metadata = client.V1ObjectMeta(name=name, labels=dict(self._labels))
        body = client.V1Secret(metadata=metadata, type="kubernetes.io/tls", data=encoded)
        await self._api.create_namespaced_secret(self._namespace, body)


async def renew(secrets: Any, wanted: Mapping[str, Any], now: datetime, *, force: bool) -> str:
    """Bring the server's certificate to what is wanted, and return what was done."""
    name = wanted["secret"]
    held = await secrets.read(name)
    reason = "it was asked for" if force else "it is not there"
    if held and not force:
        certificate = held.get(CERTIFICATE, b"")
        reason = find_reason(certificate, wanted["hosts"], wanted["keyAlgorithm"], wanted["renewBeforeDays"], now)
    if not reason:
        return f"Secret {name}: good for longer, left alone"
    authority = await ensure_authority(secrets, wanted, now)
    made = issue(authority, wanted["hosts"], wanted["days"], wanted["keyAlgorithm"], now)
    data = {CERTIFICATE: made.certificate, KEY: made.key, AUTHORITY: authority.certificate}
    await secrets.write(name, data, exists=held is not None)
    return f"Secret {name}: a new certificate, because {reason}"


async def ensure_authority(secrets: Any, wanted: Mapping[str, Any], now: datetime) -> KeyPair:
    """Return the release's authority; a new one if there is none, or if it would not outlive what it signs."""
    name = wanted["authority"]
    held = await secrets.read(name)
    pair = KeyPair((held or {}).get(CERTIFICATE, b""), (held or {}).get(KEY, b""))
    if held and is_usable(pair, wanted["days"], now):
        return pair
    made = make_authority(wanted["name"], wanted["keyAlgorithm"], now)
    await secrets.write(name, {CERTIFICATE: made.certificate, KEY: made.key}, exists=held is not None)
    return made


async def run(namespace: str, wanted: Mapping[str, Any], *, force: bool) -> None:
    """Do it in the cluster that this pod is in."""
    config.load_incluster_config()  # type: ignore[no-untyped-call]  # the library has no types there
    async with client.ApiClient() as api_client:
        secrets = Secrets(client.CoreV1Api(api_client), namespace, wanted["labels"])
        print(await renew(secrets, wanted, datetime.now(UTC), force=force))


def main() -> int:
    """Read the arguments and renew; the exit status is 1 if that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--wanted", required=True, type=Path)
    parser.add_argument("--force", action="store_true", help="Make it anew, however long it is good for.")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.namespace, json.loads(arguments.wanted.read_text()), force=arguments.force))
    except aiohttp.ClientError as error:
        hint = "networkPolicy.apiServer names the addresses that may be reached"
        print(f"no answer from the API server in {REACHABLE_SECONDS} s: {error}; {hint}", file=sys.stderr)
        return 1
    except ApiException as error:
        # The body names the account and the verb it lacks, and never a value.
        print(f"the API server answered {error.status} {error.reason}: {error.body!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
