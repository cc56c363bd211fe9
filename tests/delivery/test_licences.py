"""scripts/prod_check_licences: what may be shipped, and that nothing slips in by being unclear."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from prod_check_licences import ALLOWED_ONE, SAID_ELSEWHERE, judge, locked, said, verdicts

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "Apache-2.0 OR BSD-3-Clause",
        "Apache-2.0 AND MIT",
        "MPL-2.0 AND (Apache-2.0 OR MIT)",
        "GPL-3.0-only OR MIT",
        "MIT OR (GPL-2.0-only AND AGPL-3.0-only)",
        "Apache-2.0 WITH LLVM-exception",
    ],
)
def test_these_may_be_shipped(licence: str) -> None:
    assert not judge("any", licence).wrong


@pytest.mark.parametrize(
    ("licence", "named"),
    [
        ("GPL-3.0-or-later", "GPL-3.0-or-later"),
        ("AGPL-3.0-only", "AGPL-3.0-only"),
        ("MIT AND GPL-2.0-only", "GPL-2.0-only"),
        ("MIT AND (GPL-2.0-only OR AGPL-3.0-only)", "AGPL-3.0-only, GPL-2.0-only"),
        ("MIT OR Apache-2.0 AND GPL-2.0-only", ""),
        ("(MIT OR Apache-2.0) AND GPL-2.0-only", "GPL-2.0-only"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only"),
        ("LGPL-3.0-or-later", "LGPL-3.0-or-later"),
        ("LicenseRef-Commercial", "LicenseRef-Commercial"),
        ("MIT GPL-2.0-only", "GPL-2.0-only"),
        ("MIT AND", "breaks off"),
        ("(MIT", "breaks off"),
        ("", "does not say"),
    ],
)
def test_these_may_not_and_it_is_said_why(licence: str, named: str) -> None:
    wrong = judge("any", licence).wrong
    assert named in wrong
    assert bool(wrong) == bool(named)


def test_the_lgpl_is_for_one_package() -> None:
    verdict = judge("psycopg2-binary", "LGPL-3.0-or-later")
    assert (verdict.wrong, verdict.note) == ("", ALLOWED_ONE["psycopg2-binary"]["LGPL-3.0-or-later"])


@pytest.mark.parametrize(
    ("expression", "name", "classifiers", "spdx"),
    [
        ("MIT", "GPL", ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"], "MIT"),
        (None, "MIT License", ["License :: OSI Approved :: MIT License"], "MIT"),
        (None, "Apache 2.0", [], "Apache-2.0"),
        (None, None, ["License :: OSI Approved :: BSD License"], "BSD"),
        (None, "BSD-3-Clause", ["License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (None, None, ["License :: DFSG approved", "License :: OSI Approved :: MIT License"], "MIT"),
        (None, "Copyright (c) 2020 …\nall of it", ["License :: OSI Approved :: ISC License (ISCL)"], "ISC"),
        (
            None,
            "MIT",
            ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"],
            "LicenseRef-GNU-General-Public-License-v3-GPLv3- AND MIT",
        ),
        (None, "see LICENSE", [], "LicenseRef-see-LICENSE"),
        (None, None, ["Topic :: Software Development"], ""),
        (None, "  ", [], ""),
    ],
)
def test_metadata_of_all_ages_is_read(
    expression: str | None, name: str | None, classifiers: list[str], spdx: str
) -> None:
    assert said(expression, name, classifiers) == spdx


def test_every_package_of_the_lock_is_judged_and_may_be_shipped() -> None:
    found = {one.package: one for one in verdicts(LOCK)}
    assert len({line.name for line in locked(LOCK)}) == len(found) > 90
    assert not [one for one in found.values() if one.wrong]
    assert found.keys() >= {*ALLOWED_ONE, *SAID_ELSEWHERE}, "take out what is not locked any more"


def test_what_is_locked_and_missing_fails_by_name_unless_it_is_for_another_python() -> None:
    hashed = " \\\n    --hash=sha256:00\n"
    found = list(verdicts(f"no-such-package==1{hashed}other==2 ; python_full_version < '3.0'{hashed}"))
    assert [(one.package, bool(one.wrong)) for one in found] == [("no-such-package", True), ("other", False)]
