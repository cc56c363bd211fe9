"""Card numbers that are nobody's, and the search for them in whatever was written: in every disguise they may leak in.

All of them begin alike, so most disguises are found by their common beginning, whatever the size of the text; a digest
has none, so there every run of hexadecimal digits is looked at.
"""

import base64
import hashlib
import random
import re
from collections.abc import Callable, Collection, Iterator
from urllib.parse import quote, quote_plus

from cleartill.domain.card import passes_luhn

BIN = "453914"
NO_CVV_BIN = "979797"
"""What is typed into the field of the CVV by mistake begins like this; it is no card number."""
DIGITS = 16
CUT_AT = 12
"""PCI DSS 3.4.1 lets the first six and the last four digits be shown; more of it is a leak, too."""
SHA256_HEX = 64
CVV = re.compile(rb"(?i)(?:cvv2?|cvc2?|cvn|security_?code)[\"'\\:= \xa3\xa4]{1,8}\d{3,4}(?!\d)")
"""A CVV has too few digits to be known by them: one that stands where its name does. (MessagePack writes a byte of
length, A3 or A4, before it.)"""
_HEX = re.compile(rb"[0-9a-fA-F]{%d,}" % SHA256_HEX)


def unique_pans(count: int, seed: int, *, begin: str = BIN, luhn: bool = True) -> list[str]:
    """`count` different numbers of 16 digits, that pass Luhn or do not."""
    chance, made = random.Random(seed), set[str]()
    while len(made) < count:
        pan = begin + "".join(str(chance.randrange(10)) for _ in range(DIGITS - len(begin)))
        if passes_luhn(pan) is luhn:
            made.add(pan)
    return sorted(made)


def _in_groups(pan: str, between: str) -> str:
    return between.join(pan[at : at + 4] for at in range(0, DIGITS, 4))


def _swapped(pan: str) -> str:
    """As chip cards and phones write it: two digits a byte, the second one first."""
    return "".join(pan[at + 1] + pan[at] for at in range(0, DIGITS, 2))


def _in_base64(before: int) -> Callable[[str], bytes]:
    """As it stands in the base64 of a longer text, after so many of its bytes, modulo three."""

    def written(pan: str) -> bytes:
        whole = base64.b64encode(b"x" * before + pan.encode())
        return whole[4 if before else 0 : -4]

    return written


DISGUISES: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "cut short": lambda pan: pan[:CUT_AT].encode(),
    "spaced": lambda pan: _in_groups(pan, " ").encode(),
    "dashed": lambda pan: _in_groups(pan, "-").encode(),
    "in a URL": lambda pan: quote(_in_groups(pan, " ")).encode(),
    "in a form": lambda pan: quote_plus(_in_groups(pan, " ")).encode(),
    "percent-encoded": lambda pan: "".join(f"%{ord(digit):02x}" for digit in pan).encode(),
    "hex": lambda pan: pan.encode().hex().encode(),
    "UTF-16": lambda pan: pan.encode("utf-16-le"),
    "BCD": bytes.fromhex,
    "BCD, nibbles swapped": lambda pan: bytes.fromhex(_swapped(pan)),
    "nibbles swapped, in hex": lambda pan: _swapped(pan).encode(),
    "base64": _in_base64(0),
    "base64, one byte later": _in_base64(1),
    "base64, two bytes later": _in_base64(2),
}


def _common(forms: Collection[bytes]) -> bytes:
    """What they all begin with; of a single one, some of it."""
    first, last = min(forms), max(forms)
    if first == last:
        return first[:4]
    return first[: next(at for at, byte in enumerate(first) if byte != last[at])]


def sha256(pan: str) -> bytes:
    return hashlib.sha256(pan.encode()).hexdigest().encode()


class Search:
    """For each of `pans`, in all disguises at once."""

    def __init__(self, pans: list[str]) -> None:
        self._digests = {sha256(pan): pan for pan in pans} | {
            hashlib.sha256(_in_groups(pan, " ").encode()).hexdigest().encode(): pan for pan in pans
        }
        self._forms: list[tuple[re.Pattern[bytes], int, dict[bytes, str]]] = []
        for disguise in DISGUISES.values():
            forms = {disguise(pan): pan for pan in pans}
            begin = _common(forms)
            assert len(begin) >= 3, "they do not begin alike"
            self._forms.append((re.compile(re.escape(begin)), len(next(iter(forms))), forms))

    def found(self, text: bytes) -> set[str]:
        """Those that are in there, in any form."""
        return set(self._begun_alike(text)) | set(self._digested(text))

    def _begun_alike(self, text: bytes) -> Iterator[str]:
        for begin, length, forms in self._forms:
            for match in begin.finditer(text):
                if pan := forms.get(text[match.start() : match.start() + length]):
                    yield pan

    def _digested(self, text: bytes) -> Iterator[str]:
        for match in _HEX.finditer(text):
            run = match[0].lower()
            for at in range(len(run) - SHA256_HEX + 1):
                if pan := self._digests.get(run[at : at + SHA256_HEX]):
                    yield pan
