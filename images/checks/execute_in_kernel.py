"""Start a kernel by its name, run code in it and write what it printed: execute_in_kernel.py NAME CODE."""

from __future__ import annotations

import sys
from typing import Any

from jupyter_client.manager import start_new_kernel  # type: ignore[import-not-found]  # it runs in the image

manager, client = start_new_kernel(kernel_name=sys.argv[1], startup_timeout=60)
printed: list[str] = []


def keep(message: dict[str, Any]) -> None:
    """Collect what the code prints, and stop at an error."""
    if message["msg_type"] == "stream":
        printed.append(message["content"]["text"])
    elif message["msg_type"] == "error":
        sys.exit("\n".join(message["content"]["traceback"]))


try:
    client.execute_interactive(sys.argv[2], output_hook=keep, timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
sys.stdout.write("".join(printed))
