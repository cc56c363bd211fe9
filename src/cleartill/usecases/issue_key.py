"""Give a merchant another API key."""

from cleartill.domain.errors import MissingScope
from cleartill.domain.merchant import ApiKey, Principal, Scope, sealed_key
from cleartill.ports import Origin, Till


async def issue_key(
    till: Till,
    maker: Principal,
    *,
    merchant_id: str,
    name: str,
    key: str,
    scopes: tuple[Scope, ...],
    origin: Origin,
) -> ApiKey:
    """Record `key` for the merchant. Nobody gives what they have not: raises MissingScope; NotFound, TooManyKeys.

    Only an HMAC of the key is kept: whoever calls this is the last to see it.
    """
    for scope in scopes:
        if not maker.may(scope):
            raise MissingScope(f"This key lacks the scope {scope}, so it cannot give it")
    made = sealed_key(key, till.vault.mark("api-key", key), merchant_id, name, scopes, till.clock.now())
    await till.merchants.add_key(made, origin)
    return made
