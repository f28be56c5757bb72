"""Where kubelab's own programs lie on a control plane, and the file that they share."""

from __future__ import annotations

from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.template import render

FOLDER = "/usr/local/libexec/kubelab"
SHARED = f"{FOLDER}/static-pods.sh"


def shared_file() -> File:
    """Return the functions that stop and start a control plane's static pods."""
    return File(SHARED, render("static-pods.sh"))
