"""Every page, on a desk and on a telephone, light and dark: axe finds nothing serious, nothing scrolls sideways.

With --screenshots a picture of each is left behind, for people to look at.
"""

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from console_pages import PAGES, Furnished, ear, furnish, path_of, settled
from console_visitors import Merchant, Watch
from playwright.sync_api import Page, expect

LIGHT = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    "preload": False,
}
DARK = {**LIGHT, "runOnly": ["color-contrast", "link-in-text-block"]}
"""What the other colours can change."""
SERIOUS = {"serious", "critical"}
WIDER = """
() => [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && element.checkVisibility())
  .slice(0, 5)
  .map((element) => `${element.tagName.toLowerCase()}.${element.className}`)
"""
TURNED = "dark => (parseInt(getComputedStyle(document.body).color.match(/\\d+/)[0]) > 128) === dark"
"""The browser takes a frame or two to turn all the colours."""
Judge = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def furnished(onboard: Callable[..., Merchant]) -> Iterator[Furnished]:
    with ear() as hook:
        yield furnish(onboard(), hook, lambda field: f"{field.capitalize()} of two tickets")


@pytest.fixture
def judge(watch: Watch, picture: Callable[[Page, str], None]) -> Judge:
    """judge(page, "payments") looks at a page in light and dark, pictures it, and tells what is wrong with it."""

    def judged(page: Page, name: str) -> None:
        width = page.viewport_size["width"]  # type: ignore[index]
        wide, inside = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= inside, f"{name} scrolls sideways: {wide} px in {inside}: {page.evaluate(WIDER)}"
        for colours, rules in (("light", LIGHT), ("dark", DARK)):
            page.emulate_media(color_scheme=colours)
            page.wait_for_function(TURNED, arg=colours == "dark")
            picture(page, f"{name}-{width}-{colours}")
            watch.verdict()
            watch.deaf = True  # axe tries an inline style, which the console's policy forbids it as well
            page.evaluate(AXE_SCRIPT)
            found = page.evaluate("rules => axe.run(document, rules)", rules)["violations"]
            watch.deaf = False
            wrong = [told(one) for one in found if one["impact"] in SERIOUS]
            assert not wrong, f"{name}, {width} px, {colours}:\n" + "\n".join(wrong)

    def told(one: dict) -> str:  # type: ignore[type-arg]
        where = "\n".join(f"    {node['html'][:200]}: {node['failureSummary']}" for node in one["nodes"][:3])
        return f"{one['id']} ({one['impact']}): {one['help']}\n{where}"

    return judged


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page(visit: Callable[..., Page], furnished: Furnished, judge: Judge, name: str, width: int) -> None:
    page = visit(furnished.merchant, path_of(name, furnished), width=width)
    settled(page)
    judge(page, name)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["login", "operations"])
def test_a_page_of_others(visit: Callable[..., Page], admin: Merchant, judge: Judge, name: str, width: int) -> None:
    page = visit(admin if name == "operations" else None, f"/{name}", width=width)
    settled(page)
    judge(page, name)


@pytest.mark.parametrize("name", ["overview", "payments", "refunds", "deposits", "keys", "webhooks"])
def test_a_page_of_somebody_new(visit: Callable[..., Page], fresh: Merchant, judge: Judge, name: str) -> None:
    """It says what to do next."""
    page = visit(fresh, PAGES[name], width=390)
    settled(page)
    judge(page, f"{name}-new")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_refund_dialog(visit: Callable[..., Page], furnished: Furnished, judge: Judge, width: int) -> None:
    page = visit(furnished.merchant, path_of("payment", furnished), width=width)
    settled(page)
    page.get_by_role("button", name="Refund").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    judge(page, "refund-dialog")


def test_the_menu_of_a_telephone(visit: Callable[..., Page], furnished: Furnished, judge: Judge) -> None:
    page = visit(furnished.merchant, "", width=390)
    settled(page)
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Payments", exact=True)).to_be_visible()
    judge(page, "menu")


@pytest.mark.parametrize(
    ("done", "seen"),
    [
        ("e => { e.style.color = '#ddd'; e.style.background = '#fff' }", "color-contrast"),
        ("e => { e.style.minWidth = '2000px' }", "scrolls sideways"),
        ("e => { e.append(document.createElement('button')) }", "button-name"),
    ],
)
def test_what_is_wrong_is_seen(
    visit: Callable[..., Page], fresh: Merchant, judge: Judge, watch: Watch, done: str, seen: str
) -> None:
    page = visit(fresh, PAGES["missing"])
    settled(page)
    page.locator("main .card p").last.evaluate(done)
    with pytest.raises(AssertionError, match=seen):
        judge(page, "spoilt")
    watch.deaf = False
