"""Tables full of what is old, made by plain SQL."""

from real.room import rows
from real.units import MERCHANT

# Key n is made n + 1 seconds before it is 2 days old; one in ten is in doubt.
_KEYS = """
INSERT INTO transactions (merchant_id, id, status, amount_minor, currency, payment_method, capture_method, provider,
    trace_id, version, seq, unit_id, created_at, updated_at)
SELECT %(merchant)s, 'pay_' || n, 'captured', 100, 'USD', 'credit_card', 'automatic', 'bank', '', 2, 2, 'unt_' || n,
    now(), now() FROM generate_series(1, %(many)s) n;
INSERT INTO attempts (merchant_id, key, transaction_id, kind, provider, amount_minor, currency, status, origin,
    opened_by, settled_by, settled_at, expires_at, resolve_at)
SELECT %(merchant)s, 'pay_' || n || '.authorize.1', 'pay_' || n, 'authorize', 'bank', 100, 'USD',
    CASE WHEN n %% 10 = 0 THEN 'open' ELSE 'approved' END, '{}', 'unt_' || n, CASE WHEN n %% 10 > 0 THEN 'unt_x' END,
    CASE WHEN n %% 10 > 0 THEN now() END, now(), now() FROM generate_series(1, %(many)s) n;
INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id, attempt_key, answer_status,
    answer_body, created_at, answered_at)
SELECT %(merchant)s, 'process', 'key ' || n, '', 'unt_' || n, 'pay_' || n, 'pay_' || n || '.authorize.1', 201, '{}',
    now() - interval '2 days' - interval '1 second' * n, now() - interval '2 days' - interval '1 second' * n
FROM generate_series(1, %(many)s) n;
INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id, created_at)
SELECT %(merchant)s, 'callback:bank', 'evt ' || n, '', 'unt_' || n, 'pay_' || n,
    now() - interval '8 days' - interval '1 second' * n FROM generate_series(1, %(many)s) n;
"""
# A tenth of the events is unpublished.
_EVENTS = """
INSERT INTO outbox (merchant_id, subject_id, seq, shard, type, event, created_at, published_at)
SELECT %(merchant)s, 'pay_' || n, 1, n %% 16, 'payment.captured', '{}',
    now() - interval '31 days' - interval '1 second' * n,
    CASE WHEN n %% 10 > 0 THEN now() - interval '31 days' - interval '1 second' * n END
FROM generate_series(1, %(many)s) n;
"""
# A tenth of the deliveries is pending; each has two tries.
_DELIVERIES = """
INSERT INTO merchants (id, name, email, created_at) VALUES (%(merchant)s, 'M', 'm@merchant.example', now());
INSERT INTO webhook_endpoints (merchant_id, id, url, event_types, secret, key_version, seq, created_at, updated_at)
VALUES (%(merchant)s, 'we_1', 'https://shop.example/', '{}', '', 1, 1, now(), now());
INSERT INTO webhook_deliveries (merchant_id, id, endpoint_id, event_id, type, subject_id, seq, event, status, tries,
    attempts, next_at, created_at, delivered_at)
SELECT %(merchant)s, 'dlv_' || n, 'we_1', 'evt_' || n, 'payment.captured', 'pay_' || n, 1, '{}',
    CASE WHEN n %% 10 > 0 THEN 'delivered' ELSE 'pending' END, 2, 2,
    now() - interval '31 days' - interval '1 second' * n, now() - interval '32 days',
    CASE WHEN n %% 10 > 0 THEN now() - interval '31 days' END FROM generate_series(1, %(many)s) n;
INSERT INTO webhook_attempts (merchant_id, delivery_id, number, at, status, latency_ms, answer)
SELECT %(merchant)s, 'dlv_' || n, number, now(), 200, 1, 'ok'
FROM generate_series(1, %(many)s) n, generate_series(1, 2) number;
"""
# A tenth of the sessions is alive.
_SESSIONS = """
INSERT INTO sessions (digest, id, merchant_id, key_id, created_at, used_at, expires_at)
SELECT lpad(to_hex(n), 64, '0'), 'ses_' || n, %(merchant)s, 'key_1', now() - interval '1 day', now() - interval '1 day',
    now() - interval '5 minutes' - interval '1 second' * n + interval '9 days' * (n %% 10 = 0)::int
FROM generate_series(1, %(many)s) n;
"""
# Events of today that are still to be made into deliveries.
_WANTED = """
INSERT INTO outbox (merchant_id, subject_id, seq, shard, type, event)
SELECT %(merchant)s, 'new_' || n, 1, n %% 16, 'payment.captured', '{}' FROM generate_series(1, %(many)s) n;
"""


def fill(url: str, many: int) -> None:
    """So many of each kind, nine in ten of which may go; every callback may."""
    for statement in (_KEYS, _EVENTS, _DELIVERIES, _SESSIONS, _WANTED):
        written = statement.replace("%(merchant)s", f"'{MERCHANT}'").replace("%(many)s", str(many))
        rows(url, written.replace("%%", "%"))
