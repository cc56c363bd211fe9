"""Find out who presents an API key."""

import hmac

from cleartill.domain.errors import Unauthenticated
from cleartill.domain.merchant import Principal, key_prefix
from cleartill.ports import Till

_NOBODY = "0" * 64


async def authenticate(till: Till, presented: str | None) -> Principal:
    """The key's principal. Raises Unauthenticated, one and the same, for a missing, malformed, unknown or revoked key.

    The digest is compared in constant time, and against something even when the prefix is unknown.
    """
    prefix = key_prefix(presented) if presented else None
    if presented is None or prefix is None:
        raise Unauthenticated
    stored = await till.merchants.key_of(prefix)
    digest = till.vault.mark("api-key", presented)
    same = hmac.compare_digest(stored.digest if stored else _NOBODY, digest)
    if stored is None or not same or stored.revoked_at is not None:
        raise Unauthenticated
    till.merchants.used(stored)
    return Principal(stored.merchant_id, stored.id, frozenset(stored.scopes))
