"""Send a test to a webhook endpoint, on the way that every event takes."""

from cleartill.domain.errors import EndpointDisabled
from cleartill.domain.webhook import Delivery, trial_event
from cleartill.ports import Origin, Till


async def send_test(till: Till, merchant_id: str, endpoint_id: str, origin: Origin) -> Delivery:
    """The delivery of an event that says nothing happened, whatever the endpoint wants to hear; it is tried once.
    Raises NotFound, EndpointDisabled."""
    endpoint = await till.webhooks.get(merchant_id, endpoint_id)
    if not endpoint.open:
        raise EndpointDisabled
    return await till.webhooks.post(endpoint, trial_event(endpoint, till.clock.now(), origin.traceparent))
