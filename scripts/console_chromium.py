"""A Chromium that reaches nothing but this machine: where it is, with what flags it starts, and who logs in to the
console. For scripts/console_look, scripts/test_console and tests/console/browser.

Playwright's own browsers are a download from elsewhere; Debian's, or the one $CHROMIUM names, is used instead.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # read by scripts/test_console too, in an environment without Playwright
    from playwright.sync_api import Browser, BrowserContext, Playwright

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv" / "console"
"""Playwright's own environment, inside the main one and gone with it."""
REQUIREMENTS = Path(__file__).with_name("console.lock")
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ABSENT = (
    "No Chromium was found. `apt-get install --no-install-recommends chromium` brings one on Debian and Ubuntu; "
    "CHROMIUM=/path/to/chromium names another."
)
FLAGS = (
    "--no-sandbox",  # its sandbox refuses root, and containers without user namespaces
    "--disable-dev-shm-usage",  # /dev/shm is 64 MB in containers
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-gpu",
    "--no-first-run",
    "--no-pings",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
STEP_MS = 10_000.0
"""How long any one step in the browser may take."""
DEMO_EMAIL, ADMIN_EMAIL = "demo@merchant.example", "admin@merchant.example"


def find_chromium() -> str | None:
    """$CHROMIUM, or the first that is installed."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """Exits with a message when there is none."""
    found = find_chromium()
    if found is None:
        sys.exit(ABSENT)
    return playwright.chromium.launch(executable_path=found, args=list(FLAGS), timeout=60_000)


def new_context(browser: Browser, url: str, *, width: int = 1280, dark: bool = False, **more: Any) -> BrowserContext:
    """A visitor of their own: no cookie yet, an English one, as wide as a desk's screen or a telephone's (390)."""
    phone = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if width < 600 else {}
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 844 if phone else 900},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
        **phone,
        **more,
    )
    context.set_default_timeout(STEP_MS)
    return context


def log_in(context: BrowserContext, email: str, key: str) -> None:
    """As the login page does it, without the page. Raises RuntimeError with what the API said."""
    answer = context.request.post("/api/v1/auth/login", data={"email": email, "api_key": key})
    if not answer.ok:
        raise RuntimeError(f"login as {email}: {answer.status} {answer.text()}")
