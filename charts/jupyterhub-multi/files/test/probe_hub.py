"""Fail unless the hub answers through the proxy: health, version and login page; for `helm test`."""

# ruff: noqa: T201  # a pod's log is where it reports
from __future__ import annotations

import json
import ssl
import sys
import time
import urllib.error
import urllib.request

DEADLINE_SECONDS = 60


# Whether the hub answers is asked here, not who signed the certificate: that may be anybody, or the release itself.
UNVERIFIED = ssl._create_unverified_context()  # noqa: S323  # as curl's --insecure


def read(url: str) -> bytes:
    """Return the body of `url`, which must answer with a status below 400."""
    with urllib.request.urlopen(url, timeout=5, context=UNVERIFIED) as answer:  # noqa: S310  # the template gives http
        return bytes(answer.read())


def wait_until_healthy(base_url: str) -> None:
    """Block until the hub is healthy; raises the last error after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            read(f"{base_url}hub/health")
            return
        except urllib.error.URLError as error:
            if time.monotonic() > deadline:
                raise
            print(f"not yet: {error}", file=sys.stderr)
            time.sleep(1)


def main(base_url: str) -> int:
    """Probe the hub below `base_url`, which ends in a slash."""
    wait_until_healthy(base_url)
    version = json.loads(read(f"{base_url}hub/api/"))["version"]
    read(f"{base_url}hub/login")
    print(f"JupyterHub {version} answers at {base_url}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
