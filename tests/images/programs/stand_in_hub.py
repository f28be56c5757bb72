"""A hub as far as a single-user server asks it while it starts: every call of its API answers with a version."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Api(BaseHTTPRequestHandler):
    """Answer every call alike."""

    def do_GET(self) -> None:
        """Say which version of JupyterHub this would be."""
        body = f'{{"version": "{sys.argv[2]}"}}'.encode()
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", sys.argv[2])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  # the base class looks for this name


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
