"""What a test in the browser may use: a Chromium, who is logged in, merchants of their own, and a watch that fails it.

Run by `make test-console` in .venv/console, against a stack that scripts/test_console has started. `make test` runs in
another environment, which has no Playwright: there is nothing for it to collect here, and it skips nothing by saying
so. A test asks for `visit` (or `page`, `admin_page`), and fails if the browser's console said a warning or an error
(violations of the Content-Security-Policy and of Trusted Types are such), a script threw, a request went to another
host, an answer was a 4xx or 5xx that it did not announce by `watch.allow`, or a planted script ran.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "scripts")]
from console_chromium import DEMO_EMAIL, STEP_MS, launch, log_in, new_context  # noqa: E402
from console_visitors import ADMIN, DEMO, Caller, Merchant, Watch  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, metavar="FOLDER", help="where pictures of every page go; else nowhere")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[Any]:
    """What the watch saw counts as part of the test; a test that fails leaves a picture."""
    pages = pyfuncitem.funcargs.get("opened", [])
    try:
        result = yield
        if watch := pyfuncitem.funcargs.get("watch"):
            watch.verdict()
        return result
    except BaseException:
        for number, page in enumerate(pages):
            _picture(pyfuncitem.config, page, f"failed-{pyfuncitem.name}-{number}")
        raise


def _picture(config: pytest.Config, page: Page, name: str) -> None:
    folder: Path | None = config.getoption("--screenshots")
    if folder is not None and not page.is_closed():
        folder.mkdir(parents=True, exist_ok=True)
        # caret="hide" would be an inline style, which the policy forbids.
        page.screenshot(path=folder / f"{name.replace('/', '-')}.png", full_page=True, caret="initial")


@pytest.fixture(scope="session")
def url() -> str:
    """Where the console and its API are: http://127.0.0.1:PORT."""
    told = os.environ.get("CONSOLE_URL")
    if not told:
        pytest.exit("these tests need a stack: make test-console", returncode=2)
    return told


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=STEP_MS)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    started = launch(playwright)
    yield started
    started.close()


@pytest.fixture(scope="session")
def caller(playwright: Playwright, url: str) -> Iterator[Callable[[str], Caller]]:
    """The API, by key: what a test does behind the console's back."""
    callers: dict[str, Caller] = {}

    def by_key(key: str) -> Caller:
        if key not in callers:
            callers[key] = Caller(playwright.request.new_context(base_url=url, extra_http_headers={"X-API-Key": key}))
        return callers[key]

    yield by_key
    for one in callers.values():
        one.request.dispose()


@pytest.fixture(scope="session")
def demo(caller: Callable[[str], Caller]) -> Merchant:
    """The demo merchant, whom all tests share: nobody else's payments are to be counted on."""
    return Merchant("merchant_123", "Demo Merchant", DEMO_EMAIL, DEMO, caller(DEMO))


@pytest.fixture(scope="session")
def admin(caller: Callable[[str], Caller]) -> Merchant:
    """The administrator."""
    return Merchant("merchant_admin", "Administrator", "admin@merchant.example", ADMIN, caller(ADMIN))


@pytest.fixture(scope="session")
def onboard(caller: Callable[[str], Caller]) -> Callable[..., Merchant]:
    """A merchant that nobody else has: onboard(name="Tickets Ltd", webhook_url=…)."""

    def onboarded(name: str = "Tickets Ltd", mailbox: str = "", **more: Any) -> Merchant:
        email = f"{mailbox}{uuid4().hex[:12]}@tickets.example"
        made = caller(ADMIN).post("/api/v1/merchants", {"name": name, "email": email, **more})
        return Merchant(made["id"], name, email, made["api_key"], caller(made["api_key"]))

    return onboarded


@pytest.fixture
def fresh(onboard: Callable[..., Merchant]) -> Merchant:
    """A merchant of this test's own, who has done nothing yet."""
    return onboard()


@pytest.fixture
def opened() -> list[Page]:
    """Every page of this test."""
    return []


@pytest.fixture
def watch(url: str) -> Watch:
    """What may go wrong in this test's pages: watch.allow(409, "/refund")."""
    return Watch(url)


@pytest.fixture
def visit(browser: Browser, url: str, watch: Watch, opened: list[Page]) -> Iterator[Callable[..., Page]]:
    """visit(merchant or None, "/payments", width=390, dark=True) → a Page at that place, in a window of its own."""
    contexts = []

    def visited(who: Merchant | None, path: str = "", *, width: int = 1280, dark: bool = False, **more: Any) -> Page:
        context = new_context(browser, url, width=width, dark=dark, **more)
        contexts.append(context)
        watch.over(context)
        if who is not None:
            log_in(context, who.email, who.key)
        page = context.new_page()
        opened.append(page)
        page.goto(f"/console{path}")
        return page

    yield visited
    for context in contexts:
        context.close()


@pytest.fixture
def page(visit: Callable[..., Page], demo: Merchant) -> Page:
    """The overview, as the demo merchant sees it."""
    return visit(demo)


@pytest.fixture
def admin_page(visit: Callable[..., Page], admin: Merchant) -> Page:
    """The overview, as the administrator sees it."""
    return visit(admin)


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """picture(page, "payments-390-dark") leaves a picture in --screenshots, if that was given."""

    def pictured(page: Page, name: str) -> None:
        _picture(request.config, page, name)

    return pictured
