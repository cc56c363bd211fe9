"""Give a webhook endpoint another secret; the old one goes on signing beside it for a day."""

from cleartill.domain.card import Secret
from cleartill.domain.events import Fact
from cleartill.domain.webhook import Endpoint, new_secret
from cleartill.ports import Origin, Till


async def rotate_secret(till: Till, merchant_id: str, endpoint_id: str, origin: Origin) -> tuple[Endpoint, Secret]:
    """The endpoint, and its new secret in the clear for the last time. Rotated twice within a day, the first of three
    secrets signs no longer. Raises NotFound."""
    now, vault = till.clock.now(), till.vault
    fresh = new_secret()

    def rotated(endpoint: Endpoint) -> tuple[Endpoint, Fact]:
        old = vault.open_secret(endpoint.secret, merchant_id, endpoint_id)
        sealed = [vault.seal_secret(secret, merchant_id, endpoint_id) for secret in (fresh, old)]
        return endpoint.rotated(sealed[0], sealed[1], vault.key_version, now)

    return await till.webhooks.change(merchant_id, endpoint_id, rotated, origin), fresh
