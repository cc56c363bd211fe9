"""Runs localstripe on 127.0.0.1 at the port given, in the environment that has it; it keeps nothing on disk.

It is some years behind Stripe's API. What we use and it does not know is added here, in its own terms: the parameters
that it refuses, the card in the confirmation, the amount received, the cards that are declined when they are charged
(it knows most of them as declined when they are attached to a customer).
"""

import sys

from aiohttp import web
from localstripe import resources

INTENT = resources.PaymentIntent
create, confirm = INTENT._api_create.__func__, INTENT._api_confirm.__func__


def create_as_today(cls, allowed_payment_method_types=None, **data):
    return create(cls, **data)


def confirm_as_today(cls, id, payment_method_data=None, return_url=None, **data):
    if payment_method_data is not None:
        intent = cls._api_retrieve(id)
        if intent.status != "requires_payment_method":
            raise resources.UserError(400, "Bad request")
        intent.payment_method = resources.PaymentMethod._api_create(**payment_method_data).id
    return confirm(cls, id, **data)


def amount_received(intent):
    charge = intent.latest_charge
    return charge.amount - charge.amount_refunded if charge is not None and charge.captured else 0


resources.PaymentMethod._charging_is_declined = resources.PaymentMethod._attaching_is_declined
resources.Store.dump_to_disk = lambda _: None
INTENT._api_create = classmethod(create_as_today)
INTENT._api_confirm = classmethod(confirm_as_today)
INTENT.amount_received = property(amount_received)
resources.extra_apis[:] = [
    (method, url, INTENT._api_confirm if url == "/v1/payment_intents/{id}/confirm" else function)
    for method, url, function in resources.extra_apis
]

from localstripe import server  # noqa: E402  (it makes its routes of what it finds)

if __name__ == "__main__":
    web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
