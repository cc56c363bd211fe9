"""The house rules that no linter knows. Each failure says how to mend it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "cleartill"
OURS = ("src", "tests", "scripts", "mockserver", ".ci", ".github")
"""Folders whose every file is ours; beside them only the files at the root."""

FILE_LINES = 300
FUNCTION_LINES = 60
"""About 50: room for a docstring, none for a second purpose."""
VAGUE = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "service", "services", "misc"}
SQL = re.compile(r"\b(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|TRUNCATE\s)")
SQL_ROOMS = ("adapters/postgres/statements.py", "adapters/postgres/migrations/")
"""Where SQL is put together from names of our own tables and columns, and nothing that a caller sent."""
RUN_BY_PYTHON = re.compile("#!.*python").match
ALSO_TEST_FOLDERS = {"contracts", "e2e", "chaos", "delivery"}
"""Tests of more than one source folder."""
SEVERAL_VERBS = {
    "attempt.py": "what every step that asks a provider is made of",
    "settle.py": "what is learnt is recorded, or contradicts what was recorded and is marked",
}

# In pieces, or this file would break its own rule.
MACHINE_PATHS = re.compile("|".join(("/" + "work/", "/" + "root/", "/" + r"home/\w", "/" + r"tmp/\w", "/" + "Users/")))
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|repo\d?\.maven\.|docker\.io|ghcr\.io|quay\.io|gcr\.io|artifactory|index-url="
)


@cache
def our_files() -> tuple[Path, ...]:
    """Every text file that is ours."""
    found = [path for path in ROOT.iterdir() if path.is_file() and path.name not in (".env", ".coverage")]
    found += [path for folder in OURS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return tuple(path for path in found if "__pycache__" not in path.parts and not path.name.startswith(".coverage"))


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_scripts() -> list[Path]:
    return [path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file() and RUN_BY_PYTHON(first_line(path))]


def first_line(path: Path) -> str:
    return path.read_text().partition("\n")[0]


def test_every_file_says_in_its_first_line_what_lives_there() -> None:
    silent = [named(path) for path in sources(SRC) + sources(ROOT / "tests") if not first_line(path).startswith('"""')]
    silent += [named(path) for path in python_scripts() if not ast.get_docstring(tree(path))]
    assert not silent, f"begin them with a docstring that says what lives there: {silent}"


def test_files_are_short() -> None:
    files = sources(SRC) + sources(ROOT / "tests") + python_scripts()
    long = {named(path): len(path.read_text().splitlines()) for path in files}
    long = {name: lines for name, lines in long.items() if lines > FILE_LINES}
    assert not long, f"split by what the parts are about, at most {FILE_LINES} lines each: {long}"


def test_functions_are_short() -> None:
    long = [
        f"{named(path)}:{node.lineno} {node.name} ({node.end_lineno - node.lineno + 1})"
        for path in sources(SRC)
        if "versions" not in path.parts  # a migration is one long list
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert not long, f"branch in the parent, keep leaves pure; at most {FUNCTION_LINES} lines: {long}"


def test_names_mean_something() -> None:
    vague = [named(path) for path in SRC.rglob("*") if VAGUE & set(re.split(r"[_.]", path.name.lower()))]
    vague += [
        f"{named(path)}:{node.lineno} {node.name}"
        for path in sources(SRC)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and VAGUE & {word.lower() for word in re.findall("[A-Z][a-z]+", node.name)}
    ]
    assert not vague, f"say what it is in the field's words: {vague}"


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("paths of one machine", MACHINE_PATHS), ("addresses of registries", REGISTRIES)],
    ids=["machines", "registries"],
)
def test_no_file_knows_where_it_was_made(what: str, pattern: re.Pattern[str]) -> None:
    found = [
        f"{named(path)}:{number} {hit[0]}"
        for path in our_files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)  # pictures too
        if (hit := pattern.search(line))
    ]
    assert not found, f"take out {what}: {found}"


def test_a_use_case_file_holds_one_verb() -> None:
    wrong = {}
    for path in sorted((SRC / "usecases").glob("[!_]*.py")):
        public = [
            node
            for node in tree(path).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
        ]
        if path.name in SEVERAL_VERBS:
            assert len(public) > 1, f"{path.name} holds one verb now: take it out of SEVERAL_VERBS"
        elif [node.name for node in public] != [path.stem] or not isinstance(public[0], ast.AsyncFunctionDef):
            wrong[named(path)] = [node.name for node in public]
    assert not wrong, f"one public async function, of the file's name; the rest is _private: {wrong}"


def test_nothing_prints_but_the_command_line() -> None:
    printing = [
        f"{named(path)}:{node.lineno}"
        for path in sources(SRC)
        if SRC / "cli" not in path.parents
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not printing, f"log it, or leave it to the command line: {printing}"


def test_sql_is_not_put_together_from_values() -> None:
    found = [
        f"{named(path)}:{node.lineno}"
        for path in sources(SRC)
        if not str(path.relative_to(SRC)).startswith(SQL_ROOMS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.JoinedStr)
        and SQL.search("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
    ]
    assert not found, f"bind values; put SQL that is made of names into statements.py: {found}"


def test_every_make_target_is_explained() -> None:
    rules = re.findall(r"^([a-z][a-z-]*):(?!=)([^\n]*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    silent = [name for name, rest in rules if "## " not in rest]
    assert not silent, f"add `## what it does` behind them in the Makefile: {silent}"
    phony = set(" ".join(re.findall(r"^\.PHONY:(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)).split())
    assert {name for name, _ in rules} == phony, "every target is in .PHONY, and nothing else is"


def test_the_lock_has_versions_and_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not re.findall(r"^(?:-i|--index|--extra|--find|-f)\b.*", lock, re.MULTILINE), "run scripts/lock, as it is"
    loose = [
        block for block in re.split(r"\n(?=\S)", lock.strip()) if "==" not in block or "--hash=sha256:" not in block
    ]
    assert not loose, f"run scripts/lock: {loose}"


def test_the_tests_mirror_the_source() -> None:
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    strays = {name for name in folders - ALSO_TEST_FOLDERS if not (SRC / name).is_dir()}
    assert not strays, f"a test lives in the folder of the source that it tests, or in {ALSO_TEST_FOLDERS}: {strays}"
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"test files need names of their own: {twice}"
