"""Identifiers: prefixed, sortable by time, unguessable."""

import os
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_OF_BYTE = (_ALPHABET * 8).encode()
_TIME_CHARS, _RANDOM_CHARS = 10, 16
_AT_ONCE = 400
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)

# os.urandom gives up the GIL, which costs 17 µs a call when other threads want it (1.4 µs when none does), and a
# payment needs eight ids: so it is drawn for many at once. A list's pop is atomic; a fork must not share what is left.
_drawn: list[str] = []
os.register_at_fork(after_in_child=_drawn.clear)


def _random() -> str:
    try:
        return _drawn.pop()
    except IndexError:
        _drawn.extend(_draw(_AT_ONCE))
        return _draw(1)[0]


def _draw(count: int) -> list[str]:
    """Five bits of each random byte choose a character."""
    chars = os.urandom(_RANDOM_CHARS * count).translate(_OF_BYTE).decode()
    return [chars[at : at + _RANDOM_CHARS] for at in range(0, len(chars), _RANDOM_CHARS)]


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters: 48 bits of Unix milliseconds, then 80 random bits (the ULID layout)."""
    return f"{prefix}_{_moment(time.time_ns() // 1_000_000)}{_random()}"


def first_id(prefix: str, at: datetime) -> str:
    """The lowest id that can be made in the millisecond of `at` (of 1970 at the earliest)."""
    return f"{prefix}_{_moment(max(0, (at - _EPOCH) // _MILLISECOND))}{_ALPHABET[0] * _RANDOM_CHARS}"


@lru_cache(maxsize=8)
def _moment(milliseconds: int) -> str:
    return "".join(_ALPHABET[milliseconds >> shift & 31] for shift in range(5 * _TIME_CHARS - 5, -1, -5))
