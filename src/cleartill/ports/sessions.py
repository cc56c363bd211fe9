"""Sessions of the console."""

from typing import Protocol

from cleartill.domain.errors import LoginFailed
from cleartill.domain.merchant import Principal
from cleartill.domain.session import Session
from cleartill.ports.work import Origin


class Sessions(Protocol):
    """By the HMAC of their token; the token itself is its holder's. Raises BooksUnavailable when the database is away.
    A session is there while it has not ended, is not too old or idle, and the key behind it is not revoked."""

    async def begin(self, digest: str, principal: Principal, instead_of: str | None, origin: Origin) -> Session:
        """A session of this key, written down with its fact; the one with the digest `instead_of` ends. Raises
        LoginFailed if the key has just been revoked."""
        ...

    async def resume(self, digest: str) -> Session | None:
        """The session, if it is there; its idle time begins anew."""
        ...

    async def end(self, digest: str, origin: Origin) -> None:
        """Nobody resumes it any more. Without effect if it is not there."""
        ...


class NoSessions:
    """Nobody can log in."""

    async def begin(self, digest: str, principal: Principal, instead_of: str | None, origin: Origin) -> Session:
        raise LoginFailed

    async def resume(self, digest: str) -> Session | None:
        return None

    async def end(self, digest: str, origin: Origin) -> None:
        pass
