"""The Postman collection's flows about payments: charged, declined, held, refunded, in doubt, replayed."""

from typing import Any

from postman_steps import NOBODY, SET, Flow, Step, set_fresh

PROCESS, CREATE = "POST /api/v1/payments/process", "POST /api/v1/payments"
PAYMENT, TIMELINE = "GET /api/v1/payments/{id}", "GET /api/v1/payments/{id}/timeline"
CONFIRM, CAPTURE = "POST /api/v1/payments/{id}/confirm", "POST /api/v1/payments/{id}/capture"
VOID, FAIL = "POST /api/v1/payments/{id}/void", "POST /api/v1/payments/{id}/fail"
REFUND, REFUND_OF = "POST /api/v1/payments/{id}/refund", "POST /api/v1/refunds"
CARD = "/api/v1/cards/{token}"
THREE_D_SECURE, MALFORMED, LOST = "4000000000003220", "4000000000009060", "4000000000009987"
HOLD = "a hold, confirmed later"


def _card(number: str) -> dict[str, Any]:
    return {"card_data": {"card_number": number}}


def _hold(variable: str) -> tuple[Step, Step]:
    at = {"id": f"{{{{{variable}}}}}"}
    return (
        Step("Create it", CREATE, 201, HOLD, expect={"status": "pending"}, keep={variable: "id"}),
        Step("Confirm it with the card", CONFIRM, 200, "with the card", path=at, expect={"status": "authorized"}),
    )


FIRST = Flow(
    "The first payment",
    "A card is charged in one step; the answer is final.",
    (
        Step(
            "Charge a card",
            PROCESS,
            201,
            "captured",
            expect={"status": "captured", "amount_minor": 9999, "amount_captured_minor": 9999, "card.last4": "4242",
                    "decline": None, "bank_reference": SET},
            keep={"payment_id": "id"},
        ),
        Step("Read it", PAYMENT, 200, expect={"id": "{{payment_id}}", "status": "captured"}),
        Step(
            "Its timeline: every hop",
            TIMELINE,
            200,
            expect={"payment_id": "{{payment_id}}"},
            checks={"the bank was called": 'answer.steps.some((step) => step.name === "provider.call")'},
        ),
    ),
)  # fmt: skip
DECLINES = Flow(
    "Declined",
    "A decline is an outcome, not an error: 201, `status: failed`, and `decline` says whether to try again.",
    (
        Step(
            "Not enough money",
            PROCESS,
            201,
            "declined",
            expect={"status": "failed", "decline.code": "insufficient_funds", "decline.category": "soft",
                    "decline.network_code": "51", "amount_captured_minor": 0},
            keep={"declined_id": "id"},
        ),
        Step(
            "A lost card: never try again",
            PROCESS,
            201,
            "declined",
            _card(LOST),
            expect={"status": "failed", "decline.code": "lost_card", "decline.category": "hard",
                    "decline.retryable": False},
        ),
        Step("A card that is none", PROCESS, 422, "declined", _card("4242424242424241"),
             expect={"code": "invalid_body", "errors[0].field": SET}),
        Step("What is declined cannot be refunded", REFUND, 409, "all that is left", path={"id": "{{declined_id}}"},
             expect={"code": "invalid_state"}),
    ),
)  # fmt: skip
CHALLENGE = Flow(
    "3-D Secure",
    "The payer must say yes on the bank's page. The page is the bank simulator's (`make run`); MockServer has none.",
    (
        Step("Charge a card that asks for it", PROCESS, 202, "captured", _card(THREE_D_SECURE),
             expect={"status": "requires_action", "action.type": "redirect"},
             keep={"challenged_id": "id", "action_url": "action.url"}),
        Step("The payer says yes, on the bank's page", PROCESS, 200, key=NOBODY, url="{{action_url}}",
             form={"outcome": "approve"}, about="Not this API: the page that `action.url` names, as browsers do it."),
        Step("Captured", PAYMENT, 200, path={"id": "{{challenged_id}}"}, until='answer.status !== "requires_action"'
             ' && answer.status !== "processing"', expect={"status": "captured", "action": None}),
    ),
)  # fmt: skip
HOLDS = Flow(
    "Hold, then capture",
    "Funds are held first; all or part is taken later, and the rest released.",
    (
        *_hold("hold_id"),
        Step("Capture more than was held", CAPTURE, 409, "all", {"amount": "100.00"}, path={"id": "{{hold_id}}"},
             expect={"code": "amount_too_large"}),
        Step("Capture a part", CAPTURE, 200, "a part", path={"id": "{{hold_id}}"},
             expect={"status": "captured", "amount_captured_minor": 6000, "amount_minor": 9999}),
    ),
)  # fmt: skip
VOIDS = Flow(
    "Hold, then void",
    "What is held is released; a payment that was never confirmed is given up.",
    (
        *_hold("void_id"),
        Step("Void it", VOID, 200, "nothing", path={"id": "{{void_id}}"},
             expect={"status": "voided", "amount_captured_minor": 0}),
        Step("What is void cannot be captured", CAPTURE, 409, "all", path={"id": "{{void_id}}"},
             expect={"code": "invalid_state"}),
        Step("Create another", CREATE, 201, HOLD, expect={"status": "pending"}, keep={"given_up_id": "id"}),
        Step("Give it up", FAIL, 200, "nothing", path={"id": "{{given_up_id}}"}, expect={"status": "failed"}),
    ),
)  # fmt: skip
REFUNDS = Flow(
    "Refund, part and whole",
    "Of the first payment; several until nothing is left.",
    (
        Step("Refund a part", REFUND, 201, "a part",
             expect={"status": "succeeded", "amount_minor": 2500, "transaction_id": "{{payment_id}}"},
             keep={"refund_id": "id"}),
        Step("Read the refund", "GET /api/v1/refunds/{id}", 200,
             expect={"id": "{{refund_id}}", "status": "succeeded", "reason": "One ticket returned"}),
        Step("Another part, by the payment's id in the body", REFUND_OF, 201, "by our id",
             {"transaction_id": "{{payment_id}}", "amount": "10.00"}, expect={"amount_minor": 1000}),
        Step("More than is left", REFUND, 409, "a part", {"amount": "65.00"}, expect={"code": "amount_too_large"}),
        Step("All that is left", REFUND, 201, "all that is left",
             expect={"status": "succeeded", "amount_minor": 6499}),
        Step("Nothing is left", PAYMENT, 200, expect={"status": "refunded", "amount_refunded_minor": 9999}),
        Step("Charge another", PROCESS, 201, "captured", expect={"status": "captured"},
             keep={"other_id": "id", "other_provider_payment_id": "provider_payment_id"}),
        Step("All of it, by the provider's id", REFUND_OF, 201, "by the provider's",
             {"provider_payment_id": "{{other_provider_payment_id}}"},
             expect={"status": "succeeded", "transaction_id": "{{other_id}}", "amount_minor": 9999}),
    ),
)  # fmt: skip
IDEMPOTENCY = Flow(
    "Idempotency",
    "The same key and body have one effect and get one answer; the same key with another body is refused.",
    (
        Step("Charge under a key", PROCESS, 201, "captured", idempotency_key="{{idempotency_key}}",
             before=set_fresh("idempotency_key"), expect={"status": "captured"}, keep={"keyed_id": "id"}),
        Step("The same again: not charged twice", PROCESS, 201, "captured", idempotency_key="{{idempotency_key}}",
             expect={"id": "{{keyed_id}}"},
             checks={"it is marked as a replay": 'pm.response.headers.get("Idempotent-Replayed") === "true"'}),
        Step("The same key, another amount", PROCESS, 409, "captured", {"amount": 1},
             idempotency_key="{{idempotency_key}}", expect={"code": "idempotency_key_reused", "retryable": False}),
        Step("Without the key that it needs", CREATE, 400, HOLD, idempotency_key="",
             expect={"code": "invalid_idempotency_key"}),
    ),
)  # fmt: skip
DOUBT = Flow(
    "In doubt, then resolved",
    "The bank took the money and its answer was lost. Nobody guesses: 202, and the worker asks until it is known.",
    (
        Step("The bank's answer is unreadable", PROCESS, 202, "captured", _card(MALFORMED),
             idempotency_key="{{doubt_key}}", before=set_fresh("doubt_key"), expect={"status": "in_doubt"},
             keep={"doubt_id": "id"}),
        Step("Until it is resolved", PAYMENT, 200, path={"id": "{{doubt_id}}"}, until='answer.status !== "in_doubt"',
             expect={"status": ("captured", "failed")},
             about="`captured`, as the simulator's book says; MockServer keeps none, and it ends as not charged."),
        Step("The same order again: its final answer", PROCESS, 201, "captured", _card(MALFORMED),
             idempotency_key="{{doubt_key}}", expect={"id": "{{doubt_id}}", "status": ("captured", "failed")}),
    ),
)  # fmt: skip
CARDS = Flow(
    "Stored cards",
    "A card that was charged can be charged again by its token, until it is erased.",
    (
        Step("Charge a card", PROCESS, 201, "captured", keep={"card_token": "card.card_token"},
             expect={"card.card_token": SET}),
        Step("Charge it again by its token", PROCESS, 201, "a stored card", {"card_token": "{{card_token}}"},
             expect={"status": "captured", "card.card_token": "{{card_token}}"}),
        Step("What is kept of it", f"GET {CARD}", 200, expect={"id": "{{card_token}}", "last4": "4242"}),
        Step("Erase it", f"DELETE {CARD}", 200, expect={"deleted": True}),
        Step("It is gone", f"GET {CARD}", 404, expect={"code": "not_found"}),
    ),
)  # fmt: skip
LISTS = Flow(
    "Lists: filters and pages",
    "The newest first. `next_cursor` leads on; a filter may name several states.",
    (
        Step("Two payments", "GET /api/v1/payments", 200, query={"limit": "2"}, keep={"cursor": "next_cursor"},
             expect={"has_more": True}, checks={"there are two": "answer.data.length === 2"}),
        Step("The next two", "GET /api/v1/payments", 200, query={"limit": "2", "cursor": "{{cursor}}"},
             checks={"there are two": "answer.data.length === 2"}),
        Step("Those of one order", "GET /api/v1/payments", 200,
             query={"order_id": "order-4711", "status": "captured", "last4": "4242"},
             checks={"all are": 'answer.data.length > 0 && answer.data.every((one) => one.status === "captured"'
                                ' && one.order_id === "order-4711")'}),
        Step("Refunds of the first payment", "GET /api/v1/refunds", 200, query={"transaction_id": "{{payment_id}}"},
             checks={"there are three": "answer.data.length === 3"}),
        Step("A filter that is none", "GET /api/v1/payments", 422, query={"colour": "red"},
             expect={"code": "invalid_query"}),
    ),
)  # fmt: skip

VOUCHED = Flow(
    "Money you vouch for",
    "Without a card and a provider nobody is asked: cash, a transfer, a voucher.",
    (
        Step("Create it", CREATE, 201, "the caller vouches for the money", keep={"vouched_id": "id"},
             expect={"status": "pending", "provider": "internal", "order_id": 17}),
        Step("Confirm it: the money is there", CONFIRM, 200, "as it was created", path={"id": "{{vouched_id}}"},
             expect={"status": "captured", "amount_captured_minor": 2500}),
    ),
)  # fmt: skip

PAYMENTS = (FIRST, DECLINES, CHALLENGE, HOLDS, VOIDS, REFUNDS, IDEMPOTENCY, DOUBT, CARDS, VOUCHED, LISTS)
