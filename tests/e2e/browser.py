"""Headless Chromium, Debian's package, driven by playwright."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .lab import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREENSHOT_VARIABLE = "KUBELAB_SCREENSHOTS"
PACKAGES = ("chromium", "fonts-dejavu-core")
INSTALL_TIMEOUT_SECONDS = 600
ARGUMENTS = (
    "--no-sandbox",  # root, as in CI, has no sandbox in Chromium; it only opens the lab's own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIEWPORT = (1280, 800)


def ensure_browser() -> str:
    """Return Chromium's path; root installs Debian's package if it is missing, others are told to."""
    if found := shutil.which("chromium"):
        return found
    if os.geteuid() != 0:
        pytest.fail(f"there is no chromium: run `apt-get install {' '.join(PACKAGES)}` as root", pytrace=False)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        argv = ["apt-get", "--quiet", *arguments]
        ended = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS, check=False
        )
        if ended.returncode:
            pytest.fail(f"{' '.join(argv)}: {ended.stderr[-500:]}", pytrace=False)
    return str(shutil.which("chromium"))


@contextmanager
def open_browser(profile: Path) -> Iterator[Page]:
    """Give a page of a browser that knows nobody; its profile lies in an empty folder."""
    from playwright.sync_api import sync_playwright

    width, height = VIEWPORT
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            # Chromium asks its own store; that the certificate is right is asked with its CA elsewhere.
            ignore_https_errors=True,
            executable_path=ensure_browser(),
            args=list(ARGUMENTS),
            viewport={"width": width, "height": height},
            headless=True,
        )
        try:
            yield context.pages[0]
        except Exception:
            photograph(context.pages[0], "failure")
            raise
        finally:
            context.close()


def photograph(page: Page, name: str) -> Path:
    """Keep a picture in the folder that KUBELAB_SCREENSHOTS names, else beside the lab's own files."""
    folder = ROOT / os.environ.get(SCREENSHOT_VARIABLE, ".kubelab/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{name}.png"
    page.screenshot(path=picture)
    return picture
