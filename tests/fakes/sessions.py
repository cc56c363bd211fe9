"""The Sessions port over memory."""

from dataclasses import dataclass
from datetime import datetime

from cleartill.domain.errors import BooksUnavailable, LoginFailed
from cleartill.domain.ids import new_id
from cleartill.domain.merchant import Principal
from cleartill.domain.session import IDLE, LONGEST, NOTED_EVERY, Session, ended
from cleartill.ports import Origin
from fakes.memory import FakeClock, Memory


@dataclass
class Kept:
    id: str
    merchant_id: str
    key_id: str
    created_at: datetime
    used_at: datetime

    @property
    def over_at(self) -> datetime:
        return self.created_at + LONGEST


class FakeSessions:
    """`away`: nothing can be read or written. `asked`: how often a session was looked for."""

    def __init__(self, memory: Memory, clock: FakeClock) -> None:
        self._memory, self._clock = memory, clock
        self.away, self.asked = False, 0

    async def begin(self, digest: str, principal: Principal, instead_of: str | None, origin: Origin) -> Session:
        now = self._clock.now()
        self._memory.sessions[digest] = Kept(new_id("ses"), principal.merchant_id, principal.key_id, now, now)
        session = self._found(digest)
        if session is None:
            del self._memory.sessions[digest]
            raise LoginFailed
        if instead_of is not None:
            self._end(instead_of, "replaced", origin)
        self._memory.facts.append((session.began(), origin))
        return session

    async def resume(self, digest: str) -> Session | None:
        return self._found(digest)

    async def end(self, digest: str, origin: Origin) -> None:
        self._reach()
        self._end(digest, "logged_out", origin)

    def _reach(self) -> None:
        if self.away:
            raise BooksUnavailable("The books are away")

    def _end(self, digest: str, how: str, origin: Origin) -> None:
        kept = self._memory.sessions.pop(digest, None)
        if kept is not None:
            self._memory.facts.append((ended(kept.merchant_id, kept.id, how, self._clock.now()), origin))  # type: ignore[arg-type]

    def _found(self, digest: str) -> Session | None:
        self._reach()
        self.asked += 1
        kept, now = self._memory.sessions.get(digest), self._clock.now()
        if kept is None or now >= kept.over_at or now >= kept.used_at + IDLE:
            return None
        (key,) = [one for one in self._memory.api_keys.values() if one.id == kept.key_id]
        if key.revoked_at is not None:
            return None
        if now >= kept.used_at + NOTED_EVERY:
            kept.used_at = now
        merchant = self._memory.merchants[kept.merchant_id]
        return Session(
            kept.id, merchant.id, key.id, key.scopes, merchant.name, merchant.email, kept.created_at, kept.used_at
        )
