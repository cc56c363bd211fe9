"""The audit chain: each sealed row of the audit log has a number, the seal before its own, and a seal over all of it.

**What is sealed.** The seal of a row is the SHA-256 of its canonical bytes: UTF-8 JSON without white space, an array of

    ["cleartill.audit.1", number, previous, merchant_id, subject_id, seq, event, actor, request_id, trace_id, at,
     recorded_at, details, hops]

- `previous` is the seal of the row before in lower-case hex; of row 1, which has none, the SHA-256 of
  `["cleartill.audit.1","<name of the chain>"]`;
- `at` and `recorded_at` are RFC 3339 in UTC with six decimals, as in events;
- `details` and `hops` are the stored JSON with the keys of every object sorted by code point, no white space, non-ASCII
  unescaped, and numbers digit for digit as the database has them: no float is ever made of one. So the order in which
  JSONB or a restored dump holds its keys does not matter, and 1.0 is not 1. A row without hops has `null` there, one
  with hops an array around them: JSON's own null is not the absence of it.

**Who could forge it.** Plain SHA-256, no HMAC. Against somebody who writes rows behind the service's back, without
knowing of the chain, either will do: nothing fits. Somebody who owns the database and knows this file can switch off
the triggers and seal anew everything from his edit on; a key would stop him unless he has it too, as who runs the
workers has. What stops both is that a head was told to somebody else before: a chain that was sealed anew has another
seal at that number, whichever row behind it was touched. So heads go to Kafka and to the log every few seconds, and to
wherever an auditor keeps `cleartill audit head`. With that a key would add the last few seconds, and take away that
anybody who is handed the rows can check them, without a secret, and after keys were replaced.

**What it cannot tell**: a row that was not true when it was written, or was taken away before it was sealed (about a
second later); the numbers of facts within their subject tell of the latter (I7).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Self

from cleartill.domain.events import AuditSealed, timestamp
from cleartill.domain.reconciliation import OPERATOR

FORM = "cleartill.audit.1"
"""Names the canonical bytes; others would be another form."""
_NUMBER = re.compile(r'"\\u0000([^"]*)"')
_SEAL = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the audit log. `details` and `hops` are JSON text; times are written as the canonical bytes have
    them."""

    merchant_id: str
    subject_id: str
    seq: int
    event: str
    actor: str
    request_id: str
    trace_id: str
    details: str
    hops: str | None
    at: str
    recorded_at: str


@dataclass(frozen=True, slots=True)
class SealedRow:
    row: AuditRow
    number: int
    previous: bytes
    seal: bytes

    @property
    def sound(self) -> bool:
        """Whether the seal is the one of these contents, at this number, behind that previous one."""
        return self.seal == seal_of(contents(self.row), self.number, self.previous)


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain goes: what must be known elsewhere for a cut or newly sealed chain to be found. `at`: when it was
    sealed, by the database's clock; None: the chain is empty."""

    chain: str
    number: int
    seal: bytes
    at: datetime | None = None

    def view(self) -> dict[str, Any]:
        """For files and events; all of it is JSON."""
        at = timestamp(self.at) if self.at else None
        return {"chain": self.chain, "number": self.number, "hash": self.seal.hex(), "at": at}

    @classmethod
    def parse(cls, document: object) -> Self:
        """A head from its `view`, or from an event that carries it. Raises ValueError."""
        if isinstance(document, dict) and isinstance(document.get("data"), dict):
            document = document["data"]
        if not isinstance(document, dict):
            raise ValueError("a head is a JSON object")
        chain, number, seal, at = (document.get(name) for name in ("chain", "number", "hash", "at"))
        if not isinstance(chain, str) or not chain or not isinstance(number, int) or isinstance(number, bool):
            raise ValueError("a head has a chain and a number")
        if number < 0 or not isinstance(seal, str) or not _SEAL.fullmatch(seal):
            raise ValueError("a head has a number from 0 on, and a hash of 64 hex digits")
        if at is not None and not isinstance(at, str):
            raise ValueError("a head's time is RFC 3339")
        return cls(chain, number, bytes.fromhex(seal), datetime.fromisoformat(at) if at else None)

    def fact(self, at: datetime) -> AuditSealed:
        """What is told of it: its number is the event's, so that readers drop what is behind the last they saw."""
        return AuditSealed(OPERATOR, self.chain, self.number, self.at or at, self.view())


def genesis(chain: str) -> bytes:
    """What the first row of a chain stands behind."""
    return sha256(_array(FORM, chain).encode()).digest()


def link(head: Head, rows: Iterable[AuditRow]) -> list[SealedRow]:
    """The rows, sealed behind the head in their order."""
    number, previous, sealed = head.number, head.seal, list[SealedRow]()
    for row in rows:
        number += 1
        seal = seal_of(contents(row), number, previous)
        sealed.append(SealedRow(row, number, previous, seal))
        previous = seal
    return sealed


def seal_of(contents: bytes, number: int, previous: bytes) -> bytes:
    """The SHA-256 of the canonical bytes. `contents`: of the row."""
    return sha256(b'["%b",%d,"%b",%b]' % (FORM.encode(), number, previous.hex().encode(), contents)).digest()


def contents(row: AuditRow) -> bytes:
    """The canonical bytes from `merchant_id` on."""
    words = (row.merchant_id, row.subject_id, row.seq, row.event, row.actor, row.request_id, row.trace_id)
    plain = _array(*words, row.at, row.recorded_at)[1:-1]
    hops = "null" if row.hops is None else f"[{_canonical(row.hops)}]"
    return f"{plain},{_canonical(row.details)},{hops}".encode(errors="surrogatepass")


def _array(*values: object) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _canonical(text: str) -> str:
    """JSON as it is sealed. Numbers pass as words that begin with U+0000, which no string in JSONB can hold; what
    cannot be read, because it is nested a thousand times deep, is sealed as such a word too."""
    try:
        value = json.loads(text, parse_int=_kept, parse_float=_kept, parse_constant=_kept)
        written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except (ValueError, RecursionError):
        return _array(_kept(text))[1:-1]
    return _NUMBER.sub(r"\1", written)


def _kept(digits: str) -> str:
    return f"\0{digits}"
