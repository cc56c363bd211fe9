"""A person's session in the console: how long it lasts, and what is written down about it."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cleartill.domain.events import Fact, SessionBegan, SessionEnded
from cleartill.domain.merchant import Principal, Scope

IDLE = timedelta(minutes=30)
"""Without a request, it ends."""
LONGEST = timedelta(hours=12)
"""It ends, whatever is done."""
NOTED_EVERY = timedelta(minutes=1)
"""How often a use is written down: a session may end so much earlier than `IDLE` after its last request."""
MARK, CSRF_MARK = "session", "session-csrf"
"""Purposes of the HMACs (`Vault.mark`) of a session's token. The first is what it is found by, and all that is stored;
the second must come with whatever a session changes."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is alive, with the key behind it and the key's merchant as they are now. Times are the
    database's; `used_at`: the last use that was written down."""

    id: str
    merchant_id: str
    key_id: str
    scopes: tuple[Scope, ...]
    merchant_name: str
    email: str
    created_at: datetime
    used_at: datetime

    @property
    def expires_at(self) -> datetime:
        """When it ends if nothing more is asked."""
        return min(self.used_at + IDLE, self.created_at + LONGEST)

    @property
    def principal(self) -> Principal:
        """It may do what its key may."""
        return Principal(self.merchant_id, self.key_id, frozenset(self.scopes))

    def began(self) -> Fact:
        return SessionBegan(self.merchant_id, self.id, 1, self.created_at, {"id": self.id, "status": "began"})


def ended(merchant_id: str, id: str, how: Literal["logged_out", "replaced"], at: datetime) -> Fact:
    """The last fact of a session that a person ended; of one that expired, or whose key was revoked, there is none."""
    return SessionEnded(merchant_id, id, 2, at, {"id": id, "status": how})


def new_token() -> str:
    """256 random bits, as they stand in a cookie."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether it may ever have been one of ours."""
    return _TOKEN.fullmatch(text) is not None
