"""Add a webhook endpoint: an address of the merchant's choice, and a secret that only he and we know."""

from cleartill.domain.card import Secret
from cleartill.domain.ids import new_id
from cleartill.domain.webhook import Endpoint, new_secret
from cleartill.ports import Origin, Till


async def add_endpoint(
    till: Till,
    *,
    merchant_id: str,
    url: str,
    event_types: tuple[str, ...] = (),
    description: str | None = None,
    origin: Origin,
) -> tuple[Endpoint, Secret]:
    """The endpoint, which hears of what happens from now on, and the secret that its messages are signed with, in the
    clear for the last time. Raises InvalidUrl, NotFound, TooManyEndpoints."""
    await till.courier.check(url)
    secret = new_secret()
    id, now = new_id("we"), till.clock.now()
    sealed = till.vault.seal_secret(secret, merchant_id, id)
    endpoint = Endpoint(id, merchant_id, url, event_types, description, sealed, till.vault.key_version, now, now)
    await till.webhooks.add(endpoint, origin)
    return endpoint, secret
