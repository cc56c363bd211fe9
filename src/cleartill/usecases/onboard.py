"""Take on a merchant: the account and its first API key."""

from cleartill.domain.errors import EmailTaken
from cleartill.domain.merchant import ApiKey, Merchant, Scope, sealed_key
from cleartill.ports import Origin, Till


async def onboard(
    till: Till,
    *,
    merchant_id: str,
    name: str,
    email: str,
    key: str,
    scopes: tuple[Scope, ...],
    origin: Origin,
    webhook_url: str | None = None,
) -> tuple[Merchant, ApiKey]:
    """Record the merchant with `key` as its first API key. Raises EmailTaken, also if the id is taken.

    Only an HMAC of the key is kept: whoever calls this is the last to see it.
    """
    now = till.clock.now()
    merchant = Merchant(merchant_id, name, email.lower(), now, webhook_url)
    first_key = sealed_key(key, till.vault.mark("api-key", key), merchant_id, "first key", scopes, now)
    facts = [merchant.created(), first_key.created(2)]
    if not await till.merchants.add(merchant, first_key, facts, origin):
        raise EmailTaken
    return merchant, first_key
