"""May we ship what we are made of? The licence of every package of requirements.lock, judged by what it says of itself.

Read from what is installed here: the SPDX expression, else the licence's name and its classifiers, which must then all
be allowed. What is not on the list fails by name, and so does what cannot be known. A package that the lock keeps for
another Python or another system is not installed, and is said to be so. Run as a program, it prints and ends with 1.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
ALLOWED = {
    "MIT": "keep its text",
    "MIT-0": "asks for nothing",
    "BSD-2-Clause": "keep its text",
    "BSD-3-Clause": "keep its text, do not advertise with its authors",
    "BSD": "one of the two above; its name does not say which",
    "Apache-2.0": "keep its text and NOTICE; comes with a patent grant",
    "ISC": "keep its text",
    "PSF-2.0": "keep its text",
    "MPL-2.0": "whoever changes its files publishes these; we change none, and our own files stay ours",
}
ALLOWED_ONE = {
    "psycopg2-binary": {
        "LGPL-3.0-or-later": "used as it is, by import, and can be replaced by whoever runs it: the LGPL asks for no "
        "more and does not reach our files; its own exception lets it be linked to OpenSSL",
    },
}
"""Licences that are well for one package only, and why."""
SAID_ELSEWHERE = {
    "ddtrace": ("Apache-2.0 OR BSD-3-Clause", "its metadata names a file only; that file says both, by choice"),
    "ddtrace-internal": (
        "Apache-2.0 OR BSD-3-Clause",
        "says nothing; a part of ddtrace, taken to be as it is",
    ),
}
"""Packages whose metadata does not say it: what was found by reading, and where."""
NAMES = {
    "mit license": "MIT",
    "the mit license (mit)": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "bsd license": "BSD",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "lgpl with exceptions": "LGPL-3.0-or-later",
    "gnu library or lesser general public license (lgpl)": "LGPL-3.0-or-later",
}
"""What was written before SPDX, in lower case, and what SPDX calls it."""
NO_LICENCE = "dfsg approved"
"""A classifier beside licences that names none."""
_WORD = re.compile(r"\(|\)|[^\s()]+")
_LOCKED = re.compile(r"^(\S+==[^\\\n]+?)\s*\\?$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """`licence`: as far as it is known. `wrong`: why it may not be shipped, empty if it may. `note`: what to know."""

    package: str
    licence: str
    wrong: str = ""
    note: str = ""


def judge(package: str, licence: str) -> Verdict:
    """`licence`: an SPDX expression, or nothing."""
    note = ""
    if package in SAID_ELSEWHERE:
        licence, note = SAID_ELSEWHERE[package]
    if not licence:
        return Verdict(package, "unknown", "does not say under which licence it is")
    own = ALLOWED_ONE.get(package, {})
    words = _WORD.findall(licence)
    refused = _refused(words, {*ALLOWED, *own}) | {*words}  # what is left of it has no place in an expression
    if refused:
        return Verdict(package, licence, f"is under {', '.join(sorted(refused))}, which is not on the list")
    return Verdict(package, licence, note=note or next((own[name] for name in own if name in licence), ""))


def said(expression: str | None, name: str | None, classifiers: Iterable[str]) -> str:
    """As SPDX expression, from a package's metadata. Of several licences in classifiers each counts: who lists two may
    mean both. A name that nobody knows counts only when no classifier says more; empty if there is nothing."""
    if expression:
        return expression
    listed = [one.rpartition("::")[2].strip() for one in classifiers if one.startswith("License ::")]
    known = [_named(one) for one in listed if one.lower() not in NO_LICENCE]
    written = _named(name.strip().splitlines()[0]) if name and name.strip() else ""
    if written and (written in ALLOWED or written in NAMES.values() or not known):
        known.append(written)
    if any(one.startswith("BSD-") for one in known):
        known = [one for one in known if one != "BSD"]  # it is said which
    return " AND ".join(dict.fromkeys(known))


def _named(licence: str) -> str:
    spdx = NAMES.get(licence.lower(), licence)
    return spdx if re.fullmatch(r"[A-Za-z0-9.+-]+", spdx) else f"LicenseRef-{re.sub(r'[^A-Za-z0-9.]+', '-', spdx)[:40]}"


def _refused(words: list[str], allowed: set[str]) -> set[str]:
    """The licences for which the expression fails; none if it holds. AND binds more than OR; WITH is an exception to
    what stands before it, and takes nothing away."""
    left = _both(words, allowed)
    while words and words[0].upper() == "OR":
        words.pop(0)
        right = _both(words, allowed)
        left = left | right if left and right else set()
    return left


def _both(words: list[str], allowed: set[str]) -> set[str]:
    refused = _one(words, allowed)
    while words and words[0].upper() == "AND":
        words.pop(0)
        refused |= _one(words, allowed)
    return refused


def _one(words: list[str], allowed: set[str]) -> set[str]:
    if not words:
        return {"an expression that breaks off"}
    word = words.pop(0)
    if word == "(":
        refused = _refused(words, allowed)
        return refused if words and words.pop(0) == ")" else {"an expression that breaks off"}
    if words and words[0].upper() == "WITH":
        del words[:2]
    return set() if word in allowed else {word}


def locked(lock: str) -> Iterator[Requirement]:
    """Every line of it, with its marker."""
    return map(Requirement, _LOCKED.findall(lock))


def verdicts(lock: str) -> Iterator[Verdict]:
    """Of every package that the lock has for this Python and this system, and of those it has for others."""
    here = {key: str(value) for key, value in default_environment().items()}
    wanted: dict[str, bool] = {}
    for one in locked(lock):
        name = canonicalize_name(one.name)
        wanted[name] = wanted.get(name, False) or one.marker is None or one.marker.evaluate(here)
    for name, is_here in wanted.items():
        if not is_here:
            yield Verdict(name, "not installed", note="only for another Python or system: not judged")
            continue
        try:
            told = metadata(name)
        except PackageNotFoundError:
            yield Verdict(name, "not installed", "is not installed: make dev-setup")
            continue
        yield judge(name, said(told.get("License-Expression"), told.get("License"), told.get_all("Classifier") or ()))


def main() -> int:
    found = [*verdicts(LOCK.read_text())]
    for licence, count in Counter(one.licence for one in found if not one.wrong).most_common():
        print(f"{count:4} {licence:32} {ALLOWED.get(licence, '')}".rstrip())
    for one in found:
        if one.note:
            print(f"note {one.package}: {one.licence}: {one.note}")
    wrong = [one for one in found if one.wrong]
    for one in wrong:
        print(f"✗ {one.package} {one.wrong}")
    print(f"{len(found)} packages, {len(wrong) or 'none'} that may not be shipped")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
