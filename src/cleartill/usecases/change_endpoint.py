"""Change a webhook endpoint: its address, what it wants to hear, whether it hears anything."""

from typing import Any

from cleartill.domain.webhook import Endpoint
from cleartill.ports import Origin, Till


async def change_endpoint(
    till: Till, merchant_id: str, endpoint_id: str, changes: dict[str, Any], origin: Origin
) -> Endpoint:
    """`changes`: of `url`, `event_types`, `description`, `enabled`. What is on its way already goes to the new address
    too. Raises InvalidUrl, NotFound."""
    if "url" in changes:
        await till.webhooks.get(merchant_id, endpoint_id)
        await till.courier.check(changes["url"])
    now = till.clock.now()
    return await till.webhooks.change(
        merchant_id, endpoint_id, lambda endpoint: endpoint.changed(now, **changes), origin
    )
