"""Merchants and their keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cleartill.domain.events import Fact
from cleartill.domain.merchant import ApiKey, Merchant
from cleartill.ports.work import Origin


class Merchants(Protocol):
    """Accounts and keys. What is written here is written with its facts, in one transaction; the merchant's facts are
    numbered under a lock on the merchant. Raises BooksUnavailable when the database is away."""

    async def add(self, merchant: Merchant, key: ApiKey, facts: Sequence[Fact], origin: Origin) -> bool:
        """A merchant with its first key; False if its id or its e-mail address is taken."""
        ...

    async def get(self, merchant_id: str) -> Merchant:
        """Raises NotFound."""
        ...

    async def key_of(self, prefix: str) -> ApiKey | None:
        """The key that begins so, revoked or not. It may be remembered for a moment, never past its revocation."""
        ...

    def used(self, key: ApiKey) -> None:
        """Note that somebody came with this key; written down a little later. Costs nothing that a request feels."""
        ...

    async def keys(self, merchant_id: str) -> list[ApiKey]:
        """All of a merchant's keys (the last 1,000), the newest first. Raises NotFound."""
        ...

    async def add_key(self, key: ApiKey, origin: Origin) -> None:
        """Raises NotFound, TooManyKeys."""
        ...

    async def revoke_key(self, merchant_id: str, key_id: str, at: datetime, origin: Origin) -> ApiKey:
        """The key, which no process accepts any more. Again: as it is, and no second fact. Raises NotFound."""
        ...
