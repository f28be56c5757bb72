#!/opt/server/bin/python
"""Ask the single-user server of this container whether it answers: exit status 0 or 1 (Docker's health check)."""

from __future__ import annotations

import os
import socket
import sys
import urllib.request
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 4
PORT = 8888


def main() -> int:
    """Return 0 if the server answers."""
    served = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL") or f"http://127.0.0.1:{PORT}/")
    port = served.port or PORT
    try:
        if served.scheme == "https":  # only the hub and its proxy have a certificate to be let in with
            socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS).close()
        else:
            address = f"http://127.0.0.1:{port}{served.path.rstrip('/')}/api"
            urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS).close()
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
