"""Where scripts/mutants plants: a copy of the tree for each defect, the tests that run in it, and what they said."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from mutants_defects import Mutant

from cleartill.embedded.child import TIED

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "scripts", "mockserver", ".github", "pyproject.toml", "README.md", "Makefile", ".env.example")
CHAOS = ("--minutes", "0.3", "--kills", "10", "--payments", "700", "--shoppers", "30")
CHAOS_WITHIN_S = 600.0
"""What never becomes final is waited for twice, three minutes each."""
ENDS_WITHIN_S = 20.0
INVARIANT = re.compile(r"(?:^|\): )(I(?:10|[1-9])): ")
"""How a discrepancy begins; what reconcile prints is longer, and names them all."""
SHOWN = 2000
NONSENSE = ("NameError", "ImportError", "SyntaxError", "AttributeError", "UnboundLocalError")
"""How a defect fails that was not even written well."""


class CannotPlant(Exception):
    """The text that a defect replaces does not stand in its file exactly once."""


class CannotTell(Exception):
    """The tests did not run to their end, so that nothing was caught and nothing was missed."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a run said. `caught`: something noticed. `by`: what did, in few words."""

    caught: bool
    by: str
    seconds: float


def planted(source: str, mutant: Mutant, file: str) -> str:
    """The text of a file with the defect in it. Raises CannotPlant."""
    for edit in mutant.edits:
        if edit.file != file:
            continue
        if (times := source.count(edit.old)) != 1:
            said = f"{mutant.name}: stands {times} times in {file}, not once:\n{edit.old}"
            raise CannotPlant(said)
        source = source.replace(edit.old, edit.new)
    return source


def copy_tree(to: Path) -> Path:
    """A copy of the working tree, which may be edited meanwhile: all defects are planted in the same code."""
    leave_out = shutil.ignore_patterns("__pycache__", ".*cache", "*.pyc")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=leave_out)
        else:
            shutil.copy(ROOT / name, to / name)
    return to


@contextlib.contextmanager
def planted_tree(pristine: Path, mutant: Mutant | None) -> Iterator[Path]:
    """A copy of a copy, beside it, with the defect in it if there is one; removed at the end. Raises CannotPlant.

    Always a fresh one: byte code of another version, a second old, would be taken for that of this one.
    """
    copy = pristine.with_name("planted")
    try:
        shutil.copytree(pristine, copy)
        for file in {edit.file for edit in mutant.edits} if mutant else ():
            (copy / file).write_text(planted((copy / file).read_text(), mutant, file))  # type: ignore[arg-type]
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def run_tests(copy: Path, tests: Sequence[str], within_s: float) -> dict[str, str]:
    """What became of each test, by node id: passed, failed, or broken (see `_end`). Raises CannotTell."""
    report = copy / "junit.xml"
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-o", "junit_family=xunit1", f"--junitxml={report}"]
    code, said = _run(copy, [sys.executable, "-m", "pytest", *options, *tests], within_s)
    if code not in (0, 1) or not report.exists():
        raise CannotTell(f"pytest ended with {code}:\n{said[-SHOWN:]}")
    cases = list(ElementTree.parse(report).iter("testcase"))
    ends = {test: [_end(case) for case in cases if _is_of(case, test)] for test in tests}
    if missing := [test for test in tests if not ends[test]]:
        raise CannotTell(f"not among the tests that ran: {missing}\n{said[-SHOWN:]}")
    return {test: max(found, key=("passed", "failed", "broken").index) for test, found in ends.items()}


def _is_of(case: ElementTree.Element, test: str) -> bool:
    file, _, name = test.partition("::")
    ran = case.get("name", "")
    return case.get("file") == file and (ran == name or ran.startswith(f"{name}["))


def _end(case: ElementTree.Element) -> str:
    """Broken: a test that could not begin, was skipped, or met code that cannot run at all; it says nothing."""
    if case.find("error") is not None or case.find("skipped") is not None:
        return "broken"
    failure = case.find("failure")
    if failure is None:
        return "passed"
    return "broken" if failure.get("message", "").startswith(NONSENSE) else "failed"


def caught_by_test(copy: Path, mutant: Mutant, within_s: float) -> Word:
    """Whether the test fails. Raises CannotTell."""
    began = time.monotonic()
    end = run_tests(copy, [mutant.test], within_s)[mutant.test]
    if end == "broken":
        raise CannotTell(f"{mutant.test} could not run: the defect is not plausible")
    return Word(end == "failed", mutant.test, time.monotonic() - began)


def caught_by_chaos(copy: Path, seed: int) -> Word:
    """Whether a short run finds a discrepancy, and of what invariants. Raises CannotTell."""
    began = time.monotonic()
    command = [sys.executable, "scripts/chaos", "--seed", str(seed), *CHAOS, "--report", str(copy / "chaos")]
    code, said = _run(copy, command, CHAOS_WITHIN_S)
    reports = list((copy / "chaos").glob("*/report.json"))
    if code not in (0, 1) or not reports:
        raise CannotTell(f"chaos ended with {code}:\n{said[-SHOWN:]}")
    wrong = json.loads(reports[0].read_text())["wrong"]
    broken = sorted({found for one in wrong for found in INVARIANT.findall(one)})
    by = f"chaos, seed {seed}: {len(wrong)} × {' '.join(broken) or 'no invariant by name'}"
    return Word(bool(wrong), by, time.monotonic() - began)


def _run(copy: Path, command: Sequence[str], within_s: float) -> tuple[int, str]:
    """Exit code and output of a command that imports from the copy; it and what it started end here, or with us, if we
    are killed. Raises CannotTell when the time is over."""
    tie = [sys.executable, "-I", "-S", str(TIED), str(os.getpid()), str(int(signal.SIGTERM)), "-1", "-1"]
    environment = os.environ | {"PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy / 'scripts'}"}
    with subprocess.Popen(
        [*tie, *command],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as child:
        try:
            said, _ = child.communicate(timeout=within_s)
        except BaseException as stop:
            _end_group(child)
            if isinstance(stop, subprocess.TimeoutExpired):
                raise CannotTell(f"not over after {within_s:.0f} s: {' '.join(command)}") from None
            raise
    return child.returncode, said


def _end_group(child: "subprocess.Popen[str]") -> None:
    """In order, then by force; servers that tests have started are tied to the process that did."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=ENDS_WITHIN_S)
            return


def check_import(copy: Path) -> None:
    """Raises CannotTell if it is not the copy that is tested."""
    _, said = _run(copy, [sys.executable, "-c", "import cleartill; print(cleartill.__file__)"], 60)
    if not Path(said.strip()).is_relative_to(copy):
        raise CannotTell(f"the tests would import {said.strip()}, and not the copy in {copy}")
