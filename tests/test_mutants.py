"""`make mutants`: its defects are those that were promised, they fit the code as it is, and it can tell."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from mutants_defects import ELEVEN, Edit, Mutant
from mutants_fears import FEARS
from mutants_ground import CannotPlant, CannotTell, caught_by_test, copy_tree, planted, planted_tree

ROOT = Path(__file__).resolve().parents[1]
PROMISED = {
    "no intent row", "random reference", "timeout → failed", "SELECT-then-INSERT idempotency", "unlocked refund sum",
    "publish before commit", "outbox id > last", "callback without compare-and-set", "unfenced lease",
    "swallowed cancellation", "declines trip the breaker",
}  # fmt: skip
GUARD = "src/cleartill/providers/guard.py"
TEST = "tests/providers/test_guard_breaker.py::test_declines_never_trip_it"
everything = pytest.mark.parametrize("mutant", [*ELEVEN, *FEARS], ids=lambda mutant: mutant.name)


def test_there_are_those_that_were_promised_and_no_name_comes_twice() -> None:
    assert len(ELEVEN) == len(PROMISED)
    assert {mutant.name for mutant in ELEVEN} == PROMISED
    names = [mutant.name for mutant in (*ELEVEN, *FEARS)]
    assert len(names) == len(set(names))


@everything
def test_it_fits_the_code_as_it_is_and_is_code_itself(mutant: Mutant) -> None:
    for file in {edit.file for edit in mutant.edits}:
        source = (ROOT / file).read_text()
        changed = planted(source, mutant, file)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


@everything
def test_the_test_that_must_notice_exists(mutant: Mutant) -> None:
    file, _, name = mutant.test.partition("::")
    defined = [
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert defined.count(name.partition("[")[0]) == 1


@pytest.mark.parametrize("source", ["", "a = 1\na = 1\n"], ids=["gone", "twice"])
def test_a_text_that_does_not_stand_there_once_is_not_replaced(source: str) -> None:
    mutant = Mutant("m", "p", (Edit("f.py", "a = 1\n", "a = 2\n"),), TEST)
    with pytest.raises(CannotPlant, match="not once"):
        planted(source, mutant, "f.py")


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_the_cheapest_is_caught_and_the_tree_stays_as_it_is() -> None:
    (cheapest,) = (mutant for mutant in ELEVEN if mutant.test == TEST)
    before = {edit.file: (ROOT / edit.file).read_bytes() for edit in cheapest.edits}
    command = [sys.executable, str(ROOT / "scripts" / "mutants"), "--only", cheapest.name]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 of 1 defects caught" in ended.stdout
    assert before == {file: (ROOT / file).read_bytes() for file in before}


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_what_no_test_notices_is_not_caught(tmp_path: Path) -> None:
    """A defect that changes nothing, one that is no code, one whose test does not exist."""
    harmless = (Edit(GUARD, "RETRY_PAUSE_S = 0.02\n", "RETRY_PAUSE_S = 0.021\n"),)
    broken = (Edit(GUARD, "RETRY_PAUSE_S = 0.02\n", "RETRY_PAUSE_S = nothing\n"),)
    pristine = copy_tree(tmp_path / "pristine")
    with planted_tree(pristine, Mutant("harmless", "", harmless, TEST)) as copy:
        assert not caught_by_test(copy, Mutant("harmless", "", harmless, TEST), 100).caught
        with pytest.raises(CannotTell):
            caught_by_test(copy, Mutant("nobody looks", "", (), f"{TEST}_at_all"), 100)
    with planted_tree(pristine, Mutant("broken", "", broken, TEST)) as copy, pytest.raises(CannotTell):
        caught_by_test(copy, Mutant("broken", "", broken, TEST), 100)
    assert list(tmp_path.iterdir()) == [pristine]
