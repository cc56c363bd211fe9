"""The Postman collection's flows around payments: transfers, callbacks, merchants, webhooks, figures, sessions."""

from postman_steps import ADMIN, NOBODY, SET, Flow, Step

DEPOSITS, WITHDRAWALS = "/api/v1/deposits", "/api/v1/withdrawals"
MERCHANT, ENDPOINT = "/api/v1/merchants/{id}", "/api/v1/webhook-endpoints/{id}"
CALLBACK = "POST /webhooks/bank-callback"
ENDED = '["succeeded", "failed"].includes(answer.status)'
NEW_MERCHANT = {"id": "{{new_merchant_id}}"}
SIGN = (
    "// As the bank signs: HMAC-SHA256 in hex over the JSON with sorted keys and no blanks, without `signature`.",
    "const said = {",
    '    transaction_id: `${pm.variables.get("deposit_id")}.transfer.${pm.variables.get("deposit_attempt")}`,',
    '    status: pm.variables.get("deposit_status") === "succeeded" ? "success" : "failed",',
    '    bank_reference: pm.variables.get("deposit_bank_reference"),',
    "    occurred_at: new Date().toISOString(),",
    "};",
    "const canonical = JSON.stringify(said, Object.keys(said).sort());",
    'said.signature = CryptoJS.HmacSHA256(canonical, pm.variables.get("webhook_secret")).toString();',
    'pm.collectionVariables.set("signed_callback", JSON.stringify(said));',
)

TRANSFERS = Flow(
    "Deposit, balance, withdrawal",
    "Money between the balance and the merchant's bank: 202 `pending`, and a worker takes it there.",
    (
        Step("Top up the balance", f"POST {DEPOSITS}", 202, "an amount", keep={"deposit_id": "id"},
             expect={"status": "pending", "type": "deposit", "amount_minor": 25000}),
        Step("Until the deposit has ended", f"GET {DEPOSITS}/{{id}}", 200, until=ENDED,
             expect={"status": ("succeeded", "failed"), "attempts": SET},
             keep={"deposit_status": "status", "deposit_attempt": "attempts",
                   "deposit_bank_reference": "bank_reference"},
             about="The bank refuses a few of all transfers: both ends are right."),
        Step("The balance", f"GET {MERCHANT}/balance", 200, expect={"merchant_id": "{{merchant_id}}"},
             checks={"there is USD": 'answer.balances.some((one) => one.currency === "USD")'}),
        Step("Pay out of it", f"POST {WITHDRAWALS}", 202, "an amount", {"amount": "12.50"},
             keep={"withdrawal_id": "id"},
             expect={"status": "pending", "type": "withdrawal", "amount_minor": 1250}),
        Step("Until the withdrawal has ended", f"GET {WITHDRAWALS}/{{id}}", 200, until=ENDED,
             expect={"status": ("succeeded", "failed")}),
        Step("More than is there", f"POST {WITHDRAWALS}", 409, "an amount", {"amount": "99999999.00"},
             expect={"code": "insufficient_funds"}),
        Step("The deposit's timeline", "GET /api/v1/transfers/{id}/timeline", 200,
             checks={"it has steps": "answer.steps.length > 0"}),
        Step("Deposits that succeeded or failed", f"GET {DEPOSITS}", 200,
             query={"status": "succeeded,failed", "limit": "5"},
             checks={"all have ended": "answer.data.length > 0 && answer.data.every((one) =>"
                                       ' ["succeeded", "failed"].includes(one.status))'}),
        Step("Withdrawals", f"GET {WITHDRAWALS}", 200, query={"limit": "1"},
             checks={"there is one": 'answer.data.length === 1 && answer.data[0].type === "withdrawal"'}),
        Step("All that moved money: withdrawals only", f"GET {MERCHANT}/transactions", 200,
             query={"type": "withdrawal", "limit": "5"},
             checks={"all are": 'answer.data.every((one) => one.type === "withdrawal")'}),
    ),
)  # fmt: skip
CALLBACKS = Flow(
    "The bank's callbacks, signed",
    "A script computes the signature with `webhook_secret` before the request is sent. The deposit above has ended: "
    "told again, it has no effect.",
    (
        Step("What the bank says of the deposit", CALLBACK, 200, "a callback", key=NOBODY, before=SIGN,
             raw="{{signed_callback}}", expect={"received": True}),
        Step("Nothing has changed", f"GET {DEPOSITS}/{{id}}", 200,
             expect={"status": "{{deposit_status}}", "needs_review": None}),
        Step("Forged: it is not believed", CALLBACK, 401, "a callback", key=NOBODY, expect={"code": "bad_signature"}),
        Step("A payment at the mock provider", "POST /api/v1/payments", 201, "at once", {"provider": "mock"},
             expect={"status": "captured"}, keep={"mock_id": "id"}),
        Step("What the mock provider would say of it", "POST /webhooks/mock", 200, "a callback",
             {"transaction_id": "{{mock_id}}.authorize.1"}, expect={"received": True}),
        Step("Stripe's, which nobody signed", "POST /webhooks/stripe", (401, 404), "a callback", key=NOBODY,
             about="404 where STRIPE_SECRET_KEY is not set, 401 where it is: only Stripe can sign one."),
    ),
)  # fmt: skip
MERCHANTS = Flow(
    "Merchants and API keys",
    "An administrator takes on a merchant; its first key is shown once. It makes more keys and revokes them.",
    (
        Step("Take on a merchant", "POST /api/v1/merchants", 201, "a merchant",
             {"email": "{{$guid}}@merchant.example"}, key=ADMIN,
             keep={"new_merchant_id": "id", "new_merchant_key": "api_key"},
             expect={"name": "Tickets Ltd", "api_key": SET}),
        Step("Not without being an administrator", "POST /api/v1/merchants", 403, "a merchant",
             expect={"code": "missing_scope"}),
        Step("Read it", f"GET {MERCHANT}", 200, path=NEW_MERCHANT, key="{{new_merchant_key}}",
             expect={"id": "{{new_merchant_id}}"}),
        Step("Make another key", f"POST {MERCHANT}/keys", 201, "for a checkout backend", path=NEW_MERCHANT,
             key="{{new_merchant_key}}", keep={"key_id": "id", "second_key": "api_key"}, expect={"api_key": SET}),
        Step("Its keys, masked", f"GET {MERCHANT}/keys", 200, path=NEW_MERCHANT, key="{{new_merchant_key}}",
             checks={"none is shown": '!pm.response.text().includes(pm.variables.get("second_key"))'}),
        Step("Revoke the second", f"DELETE {MERCHANT}/keys/{{key_id}}", 200, path=NEW_MERCHANT,
             key="{{new_merchant_key}}", expect={"id": "{{key_id}}", "revoked_at": SET}),
        Step("It opens nothing any more", "GET /api/v1/payments", 401, key="{{second_key}}",
             expect={"code": "unauthenticated"}),
        Step("Another merchant's are not there", f"GET {MERCHANT}/keys", 404, path=NEW_MERCHANT,
             expect={"code": "not_found"}),
    ),
)  # fmt: skip
WEBHOOKS = Flow(
    "Webhooks and their deliveries",
    "Set `webhook_url` to a receiver of yours (`scripts/hear_webhooks.py` is one) to hear them.",
    (
        Step("Add an endpoint", "POST /api/v1/webhook-endpoints", 201, "everything", {"url": "{{webhook_url}}"},
             keep={"endpoint_id": "id"}, expect={"status": "enabled", "event_types": [], "secret": SET}),
        Step("Another, for captures only", "POST /api/v1/webhook-endpoints", 201, "captures only",
             {"url": "{{webhook_url}}"}, keep={"second_endpoint_id": "id"},
             expect={"event_types": ["payment.captured"]}),
        Step("List the endpoints", "GET /api/v1/webhook-endpoints", 200,
             checks={"it is there": 'answer.data.some((one) => one.id === pm.variables.get("endpoint_id"))'}),
        Step("Read it: without its secret", f"GET {ENDPOINT}", 200, expect={"id": "{{endpoint_id}}"},
             checks={"no secret is shown": '!pm.response.text().includes("whsec_")'}),
        Step("Change it", f"PATCH {ENDPOINT}", 200, "enable again", {"description": "of the Postman collection"},
             expect={"status": "enabled", "description": "of the Postman collection"}),
        Step("Rotate its secret", f"POST {ENDPOINT}/rotate-secret", 200,
             expect={"secret": SET, "old_secret_until": SET}),
        Step("Send a test", f"POST {ENDPOINT}/test", 202, keep={"delivery_id": "id"},
             expect={"event_type": "webhook_endpoint.test"}),
        Step("Until it was tried", "GET /api/v1/webhook-deliveries/{id}", 200, until='answer.status !== "pending"',
             expect={"status": ("delivered", "failed"), "tries[0].number": 1}),
        Step("Send it again", "POST /api/v1/webhook-deliveries/{id}/resend", 202, expect={"id": "{{delivery_id}}"}),
        Step("Its deliveries", f"GET {ENDPOINT}/deliveries", 200, query={"limit": "5"},
             expect={"data[0].endpoint_id": "{{endpoint_id}}"}),
        Step("The events there are", "GET /api/v1/event-types", 200),
        Step("Delete the endpoint", f"DELETE {ENDPOINT}", 200, expect={"deleted": True}),
        Step("And the other", f"DELETE {ENDPOINT}", 200, path={"id": "{{second_endpoint_id}}"},
             expect={"deleted": True}),
    ),
)  # fmt: skip
FIGURES = Flow(
    "Figures",
    "A merchant's counts, sums and authorization rate.",
    (
        Step("The last 24 hours", "GET /api/v1/stats", 200, query={"window": "24h", "step": "hour"},
             expect={"merchant_id": "{{merchant_id}}", "money": SET},
             checks={"payments were counted": "answer.payments > 0"}),
        Step("A window that is none", "GET /api/v1/stats", 422, query={"window": "forever"},
             expect={"code": "invalid_query"}),
    ),
)  # fmt: skip
OPERATIONS = Flow(
    "Operations (administrators)",
    "How it is going, and what nobody tries any more.",
    (
        Step("How it is going", "GET /api/v1/operations", 200, key=ADMIN, expect={"latency": SET, "outbox": SET}),
        Step("Not for merchants", "GET /api/v1/operations", 403, expect={"code": "missing_scope"}),
        Step("Dead letters", "GET /api/v1/transfers/dead", 200, key=ADMIN, query={"limit": "10"}),
        Step("What is no dead letter is not retried", "POST /api/v1/transfers/{id}/retry", 409, key=ADMIN,
             expect={"code": "invalid_state"}),
    ),
)  # fmt: skip
HEALTH = Flow(
    "Health",
    "For load balancers and operators; no key needed.",
    (
        Step("What this is", "GET /", 200, expect={"name": "cleartill"}),
        Step("Alive", "GET /health/live", 200, expect={"status": "ok"}),
        Step("Ready", "GET /health/ready", 200, expect={"status": "ok"}),
        Step("Every part", "GET /health", 200, expect={"status": ("ok", "degraded"), "checks.database.status": "up"}),
    ),
)  # fmt: skip
SESSIONS = Flow(
    "A session of the console",
    "For browsers: a cookie in a key's place, and a token without which it changes nothing.",
    (
        Step("Log in", "POST /api/v1/auth/login", 200, "the demo merchant", {"api_key": "{{api_key}}"}, key=NOBODY,
             keep={"csrf_token": "csrf_token"}, expect={"merchant_id": "{{merchant_id}}", "csrf_token": SET}),
        Step("Read the session", "GET /api/v1/auth/session", 200, key=NOBODY, expect={"csrf_token": "{{csrf_token}}"}),
        Step("Log out", "POST /api/v1/auth/logout", 204, key=NOBODY, headers={"X-CSRF-Token": "{{csrf_token}}"}),
        Step("It is over", "GET /api/v1/auth/session", 401, key=NOBODY, expect={"code": "unauthenticated"}),
    ),
)  # fmt: skip

ACCOUNT = (TRANSFERS, CALLBACKS, MERCHANTS, WEBHOOKS, FIGURES, OPERATIONS, HEALTH, SESSIONS)
