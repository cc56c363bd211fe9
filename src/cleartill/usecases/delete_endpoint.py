"""Delete a webhook endpoint: nothing is sent there any more."""

from cleartill.ports import Origin, Till


async def delete_endpoint(till: Till, merchant_id: str, endpoint_id: str, origin: Origin) -> None:
    """Its secrets are gone with it; what was delivered can still be read. Raises NotFound."""
    now = till.clock.now()
    await till.webhooks.change(merchant_id, endpoint_id, lambda endpoint: endpoint.deleted(now), origin)
