"""Take on a merchant: the account and its first API key."""

from cleartill.domain.events import MerchantCreated, timestamp
from cleartill.domain.ids import new_id
from cleartill.domain.merchant import ApiKey, Merchant, Scope, key_prefix
from cleartill.ports import Origin, Till


async def onboard(
    till: Till, *, merchant_id: str, name: str, email: str, key: str, scopes: tuple[Scope, ...], origin: Origin
) -> bool:
    """Record the merchant with `key` as its first API key; False if it is there already.

    Only an HMAC of the key is kept: whoever calls this is the last to see it.
    """
    now = till.clock.now()
    prefix = key_prefix(key)
    assert prefix is not None
    merchant = Merchant(merchant_id, name, email, now)
    first_key = ApiKey(new_id("key"), merchant_id, prefix, till.vault.mark("api-key", key), scopes, "first key", now)
    data = {"id": merchant_id, "name": name, "created_at": timestamp(now)}
    fact = MerchantCreated(merchant_id, merchant_id, 1, now, data)
    return await till.books.add_merchant(merchant, first_key, fact, origin)
