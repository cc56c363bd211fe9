"""What is in the console's files: no markup made from text, nothing from other hosts, every import a file, every colour
readable. Read from the files themselves, without a browser."""

import re
from functools import cache
from itertools import chain, product
from pathlib import Path

import pytest

from cleartill.console import ASSETS
from cleartill.domain.money import EXPONENTS

FILES = sorted(path for path in ASSETS.rglob("*") if path.is_file())
MODULES = [path for path in FILES if path.suffix == ".js"]
SHEETS = [path for path in FILES if path.suffix == ".css"]
SVG_NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which nobody fetches
SHOWN_AS_EXAMPLE = re.compile(r"https?://(?:[\w.-]+\.example|127\.0\.0\.1|localhost)\b")
FILE_LINES, LINE_WIDTH = 300, 120

IMPORT = re.compile(r'^(?:import|export)\s(?:([^"]*?)\sfrom\s)?"([^"]+)"', re.MULTILINE)
LAZY_IMPORT = re.compile(r"import\(([`\"])(.+?)\1\)")
EXPORT = re.compile(r"^export (?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc"
    r"|\beval\(|new Function|javascript:|setTimeout\([\"'`]"
)


def named(path: Path) -> str:
    return path.relative_to(ASSETS).as_posix()


@cache
def read(path: Path) -> str:
    return path.read_text("utf-8")


# ── whatever kind it is ──


@pytest.mark.parametrize("path", FILES, ids=named)
def test_nothing_comes_from_other_hosts(path: Path) -> None:
    addresses = re.findall(r"(?:https?:|wss?:)//[^\s\"'`)]*|[\"'`(]//\w[^\s\"'`)]*", read(path))
    assert not [one for one in addresses if one != SVG_NAMESPACE and not SHOWN_AS_EXAMPLE.match(one)]
    assert "@import" not in read(path)
    assert not re.findall(r"url\((?!['\"]?/console/assets/)", read(path))


@pytest.mark.parametrize("path", MODULES + SHEETS, ids=named)
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    lines = read(path).splitlines()
    assert len(lines) <= FILE_LINES
    assert not [number for number, line in enumerate(lines, 1) if len(line) > LINE_WIDTH]
    first = lines[1] if lines[0] == "// @ts-check" else lines[0]
    assert first.startswith("/*"), "begin it with a comment that says what lives there"


# ── the document ──


def test_the_document_has_no_script_and_no_style_of_its_own() -> None:
    html = read(ASSETS / "index.html")
    assert re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL) == [
        (' type="module" src="/console/assets/app.js"', "")
    ]
    assert "<style" not in html
    assert not re.findall(r"\s(?:style|on\w+)=", html)


def test_the_document_names_files_that_there_are() -> None:
    asked = re.findall(r'(?:src|href)="/console/assets/([^"]+)"', read(ASSETS / "index.html"))
    assert not [name for name in asked if not (ASSETS / name).is_file()]
    assert {named(path) for path in SHEETS} <= set(asked), "every sheet is linked"


# ── the modules ──


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_text_never_becomes_markup(path: Path) -> None:
    assert not MARKUP.findall(read(path))
    assert not re.findall(r"[\"']style[\"']\s*,|\.style\.\w+\s*=|cssText", read(path)), "setProperty, or a class"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_import_is_a_file_that_exports_it(path: Path) -> None:
    missing = []
    for names, address in IMPORT.findall(read(path)):
        target = (path.parent / address).resolve()
        assert address.startswith(("./", "../")), address
        assert target.is_file(), f"{address} is no file"
        exported = set(EXPORT.findall(read(target)))
        wanted = re.findall(r"(\w+)(?:\s+as\s+\w+)?\s*[,}]", names)
        missing += [f"{name} of {address}" for name in wanted if name not in exported]
    assert not missing


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_what_is_imported_is_used(path: Path) -> None:
    body = IMPORT.sub("", read(path))
    names = chain.from_iterable(re.findall(r"(\w+)\s*[,}]", names) for names, _ in IMPORT.findall(read(path)))
    assert not [name for name in names if not re.search(rf"\b{name}\b", body)]


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name != "assets"], ids=named)
def test_later_imports_are_files_too(path: Path) -> None:
    for _, address in LAZY_IMPORT.findall(read(path)):
        pattern = re.sub(r"\$\{[^}]*\}", "*", address)
        assert list(path.parent.glob(pattern)), f"{address} is no file"


def test_every_address_has_a_page_with_a_title() -> None:
    pages = set(re.findall(r'page: "(\w+)"', read(ASSETS / "app.js")))
    assert {"login", "overview", "missing"} <= pages
    for page in pages:
        path = ASSETS / "js" / "pages" / f"{page}.js"
        assert path.is_file(), f"there is no page {page}"
        assert {"title", "show"} <= set(EXPORT.findall(read(path))), page


def test_amounts_have_the_digits_that_the_books_have() -> None:
    found = dict(re.findall(r'^  ([03]): "([A-Z ]+)",$', read(ASSETS / "js" / "format.js"), re.MULTILINE))
    told = {code: int(digits) for digits, codes in found.items() for code in codes.split()}
    assert told == {code: digits for code, digits in EXPONENTS.items() if digits != 2}


# ── the sheets ──


def test_every_property_is_declared() -> None:
    declared = set(re.findall(r"(--[\w-]+):", "".join(map(read, SHEETS))))
    declared |= set(re.findall(r"setProperty\(\s*\"(--[\w-]+)\"", "".join(map(read, MODULES))))
    used = set(re.findall(r"var\((--[\w-]+)[,)]", "".join(map(read, SHEETS + MODULES))))
    assert used <= declared


@pytest.mark.parametrize("path", [path for path in SHEETS if path.name != "tokens.css"], ids=named)
def test_colours_come_from_the_tokens(path: Path) -> None:
    assert not re.findall(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(", read(path), re.IGNORECASE)


def colours(scheme: str) -> dict[str, str]:
    light, _, dark = read(ASSETS / "css" / "tokens.css").partition("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return found | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark)) if scheme == "dark" else {})


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 has it: 1 to 21."""

    def luminance(colour: str) -> float:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


TONES = ("good", "bad", "doubt", "going", "half", "calm")
GROUNDS = ("ground", "sheet", "sunk")
TEXT = [
    *product(("ink", "soft", "quiet", "accent", "accent-strong"), GROUNDS),
    *product(("ink", "quiet"), [f"{tone}-wash" for tone in TONES]),
    *((tone, f"{tone}-wash") for tone in TONES),
    *product(TONES, ("sheet",)),
    *product(("accent",), [f"{tone}-wash" for tone in ("good", "bad", "doubt", "going")]),
    ("accent-strong", "accent-wash"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]
MARKS = [*product(("edge", "accent"), ("ground", "sheet")), *((f"{tone}-fill", "sheet") for tone in TONES)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(scheme: str) -> None:
    """AA: 4.5 for text, 3 for the edges of what one presses and for the marks of pictures."""
    of = colours(scheme)
    bad = {
        f"{one} on {other}": round(contrast(of[one], of[other]), 2)
        for least, pairs in ((4.5, TEXT), (3.0, MARKS))
        for one, other in pairs
        if contrast(of[one], of[other]) < least
    }
    assert not bad
