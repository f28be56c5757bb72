"""Make a wheel of one module, install it with the pip on PATH, and write where it was imported from."""

from __future__ import annotations

import subprocess
import sys
import zipfile

METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}
WHEEL = "/tmp/probe-1.0-py3-none-any.whl"

with zipfile.ZipFile(WHEEL, "w") as wheel:
    wheel.writestr("probe.py", "VALUE = 42\n")
    for name, text in METADATA.items():
        wheel.writestr(f"probe-1.0.dist-info/{name}", text)
subprocess.run(["pip", "install", "--no-index", WHEEL], check=True, stdout=sys.stderr)
subprocess.run(["python", "-c", "import probe; print(probe.__file__)"], check=True)
server = subprocess.run(["/opt/server/bin/python", "-c", "import probe"], check=False, stderr=subprocess.DEVNULL)
sys.exit("the server's own environment sees what the user installed" if server.returncode == 0 else 0)
