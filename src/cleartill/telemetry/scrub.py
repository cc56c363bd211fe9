"""Taking out of a log line whatever looks like a card number (PCI DSS 3.5.1: no PAN is stored readable).

Looks like one: 13 to 19 digits, grouped by blanks or dashes or not at all, that pass Luhn. One number in ten passes by
chance; losing it is the price. Names that we make ourselves are no numbers and stay: prefixed ids, UUIDs, trace and
span ids (in a traceparent), hex digests.
"""

import re

from cleartill.domain.card import passes_luhn

DROPPED = b"[PAN dropped]"
"""What stands in its place; `null` where it may have been a JSON number, so that the line stays JSON."""
SHORTEST, LONGEST = 13, 19

_BEFORE_VALUE, _AFTER_VALUE = frozenset((b":", b",", b"[")), frozenset((b",", b"}", b"]"))
_GAP = rb"(?:[ \-\t]|\xc2\xa0|\xe2\x80[\x80-\x8f\x90-\x95\xaf]|\xe2\x81\x9f|\\[tnr])"
"""One separator: ASCII or Unicode blank or dash (UTF-8), or a line break as JSON escapes it."""
_RUN = re.compile(rb"(?<![0-9])[0-9](?:" + _GAP + rb"{0,3}[0-9]){12,}")
_GROUP = re.compile(rb"[0-9]+")
_GAP_BYTES = b" -\t\\tnr" + bytes(range(0x80, 0x9A)) + b"\xa0\xaf\xc2\xe2"
_SHAPE = bytes(ord("0") if ord("0") <= byte <= ord("9") else ord("x") for byte in range(256))
_MANY = b"0" * SHORTEST
"""A digit each: what must be in the shape of a line, without the bytes of any gap, before a closer look pays."""
_NAMES = re.compile(
    rb"(?<![0-9A-Za-z\-])(?:"
    rb"[a-z]{2,8}_[0-9a-hjkmnp-tv-z]{26}"
    rb"|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    rb"|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    rb"|[0-9a-f]{32}(?:[0-9a-f]{32})?"
    rb")(?![0-9A-Za-z\-])"
)
"""What looks like a name of ours. A bare span id is not here: sixteen digits may be a card."""


def scrub(line: bytes) -> bytes:
    """The line without card numbers; the very same object if there are none."""
    if _MANY not in line.translate(_SHAPE, _GAP_BYTES):
        return line
    named = [match.span() for match in _NAMES.finditer(line)]
    found: list[tuple[int, int]] = []
    for run in _RUN.finditer(line):
        start = run.start()
        inside = [name for name in named if name[0] < run.end() and name[1] > start]
        for left, right in _outside(start, run.end(), inside):
            found.extend(_cards(line, left, right))
    for left, right in reversed(found):
        bare = line[left - 1 : left] in _BEFORE_VALUE and line[right : right + 1] in _AFTER_VALUE
        line = line[:left] + (b"null" if bare else DROPPED) + line[right:]
    return line


def clean(text: str) -> str:
    """The same for a word of the caller's that becomes a tag."""
    return scrub(text.encode(errors="replace")).decode(errors="replace") if len(text) >= SHORTEST else text


def _outside(start: int, end: int, names: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of a run that no name covers."""
    parts = []
    for left, right in names:
        if left > start:
            parts.append((start, left))
        start = max(start, right)
    if start < end:
        parts.append((start, end))
    return parts


def _cards(line: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The card numbers between two places: whole groups of digits, neighbours joined, the longest first."""
    groups = [match.span() for match in _GROUP.finditer(line, start, end)]
    found, first = [], 0
    while first < len(groups):
        last = _last_group(line, groups, first)
        if last is None:
            first += 1
        else:
            found.append((groups[first][0], groups[last][1]))
            first = last + 1
    return found


def _last_group(line: bytes, groups: list[tuple[int, int]], first: int) -> int | None:
    """The group that ends a card number beginning at the `first`; None if none does."""
    digits, best = "", None
    for index in range(first, min(len(groups), first + LONGEST)):
        digits += line[groups[index][0] : groups[index][1]].decode()
        if len(digits) > LONGEST:
            break
        if len(digits) >= SHORTEST and passes_luhn(digits):
            best = index
    return best
