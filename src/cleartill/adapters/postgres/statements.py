"""The SQL of one batch, prepared once per connection: a function with a statement for each part that it can carry."""

LOCK = """
SELECT t.merchant_id, t.id, t.version
FROM unnest(%(merchants)s::text[], %(ids)s::text[]) AS wanted (merchant_id, id)
JOIN transactions t USING (merchant_id, id)
ORDER BY t.merchant_id, t.id
FOR NO KEY UPDATE OF t SKIP LOCKED
"""

CLAIM = """
INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id, refund_id, attempt_key)
SELECT merchant_id, scope, key, fingerprint, unit_id, transaction_id, refund_id, attempt_key
FROM jsonb_to_recordset(%(claims)s) AS c (merchant_id text, scope text, key text, fingerprint text,
    unit_id text, transaction_id text, refund_id text, attempt_key text)
ORDER BY merchant_id, scope, key
ON CONFLICT DO NOTHING
"""

FATE = """
SELECT t.unit_id, a.opened_by, a.settled_by
FROM unnest(%(merchants)s::text[], %(ids)s::text[]) AS wanted (merchant_id, id)
JOIN transactions t USING (merchant_id, id)
LEFT JOIN attempts a ON a.merchant_id = t.merchant_id AND a.transaction_id = t.id
"""
"""After a lost acknowledgement: which units had been written after all."""

UNTOUCHED = """
SELECT a.merchant_id, a.key
FROM unnest(%(merchants)s::text[], %(keys)s::text[]) AS wanted (merchant_id, key)
JOIN attempts a USING (merchant_id, key)
WHERE a.tries = 0
ORDER BY a.merchant_id, a.key
FOR NO KEY UPDATE OF a
"""
"""Which attempts no resolver has taken over, and none will until we commit."""

BLOCKED = """
SELECT b.merchant_id, b.fingerprint
FROM jsonb_to_recordset(%(cards)s) AS r (merchant_id text, fingerprint text)
JOIN blocked_cards b USING (merchant_id, fingerprint)
"""
"""Which of these cards an issuer said "never again" about."""

_CHANGED = (
    "status text, amount_captured_minor bigint, amount_refunded_minor bigint, refund_reserved_minor bigint, "
    "refund_count integer, provider_payment_id text, bank_reference text, card jsonb, decline jsonb, "
    "needs_review text, lapses_at timestamptz, action jsonb, attempt_count integer, provider text, version integer, "
    "seq integer, unit_id text, updated_at timestamptz"
)
_PAYMENT = (
    "merchant_id text, id text, amount_minor bigint, currency text, payment_method text, capture_method text, "
    "order_id jsonb, customer_email text, description text, metadata jsonb, trace_id text, "
    f"created_at timestamptz, {_CHANGED}"
)
_REFUND_CHANGED = (
    "status text, provider_refund_id text, bank_reference text, decline jsonb, needs_review text, "
    "updated_at timestamptz"
)
_REFUND = (
    "merchant_id text, id text, transaction_id text, amount_minor bigint, currency text, provider text, reason text, "
    f"metadata jsonb, trace_id text, created_at timestamptz, {_REFUND_CHANGED}"
)
_ATTEMPT = (
    "merchant_id text, key text, transaction_id text, refund_id text, kind text, provider text, amount_minor bigint, "
    "currency text, status text, reverts_to text, claim jsonb, origin jsonb, opened_by text, expires_at timestamptz"
)
_SETTLED = (
    "merchant_id text, key text, status text, reason text, provider_id text, network_code text, unit_id text, "
    "resolve_after_s float8"
)
_LEDGER = "merchant_id text, fact_id text, account text, currency text, amount_minor bigint, transaction_id text"
_AUDIT = (
    "merchant_id text, subject_id text, seq integer, event text, actor text, request_id text, trace_id text, "
    "details jsonb, hops jsonb, at timestamptz"
)
_OUTBOX = "merchant_id text, subject_id text, seq integer, shard smallint, type text, event jsonb"


def _names(columns: str) -> list[str]:
    return [column.split()[0] for column in columns.split(", ")]


def _rows(part: str, columns: str) -> str:
    return f"FROM jsonb_to_recordset($1->'{part}') AS r ({columns})"


def _insert(part: str, table: str, columns: str) -> str:
    names = ", ".join(_names(columns))
    return f"INSERT INTO {table} ({names}) SELECT {names} {_rows(part, columns)}"


def _assign(columns: str) -> str:
    return ", ".join(f"{name} = r.{name}" for name in _names(columns))


PARTS = {
    "claims": CLAIM % {"claims": "$1->'claims'"},
    "cards": f"""
        INSERT INTO card_vault (merchant_id, token, key_version, sealed, summary)
        SELECT merchant_id, token, key_version, decode(sealed, 'base64'), summary
        {_rows("cards", "merchant_id text, token text, key_version integer, sealed text, summary jsonb")}""",
    "new_payments": _insert("new_payments", "transactions", _PAYMENT),
    "payments": f"""
        UPDATE transactions t SET {_assign(_CHANGED)}
        FROM (SELECT r.* {_rows("payments", "merchant_id text, id text, expecting integer, " + _CHANGED)}
            JOIN transactions free ON free.merchant_id = r.merchant_id AND free.id = r.id AND free.version = r.expecting
            ORDER BY free.merchant_id, free.id FOR NO KEY UPDATE OF free SKIP LOCKED) r
        WHERE t.merchant_id = r.merchant_id AND t.id = r.id AND t.version = r.expecting""",
    "new_refunds": _insert("new_refunds", "refunds", _REFUND),
    "refunds": f"""
        UPDATE refunds t SET {_assign(_REFUND_CHANGED)}
        {_rows("refunds", "merchant_id text, id text, " + _REFUND_CHANGED)}
        WHERE t.merchant_id = r.merchant_id AND t.id = r.id AND t.status IN ('processing', 'in_doubt')""",
    "new_attempts": f"""
        INSERT INTO attempts ({", ".join(_names(_ATTEMPT))}, resolve_at)
        SELECT {", ".join(_names(_ATTEMPT))}, now() + resolve_after_s * interval '1 second'
        {_rows("new_attempts", _ATTEMPT + ", resolve_after_s float8")}""",
    "attempts": f"""
        UPDATE attempts t SET status = r.status, reason = r.reason, provider_id = r.provider_id,
            network_code = r.network_code,
            settled_by = CASE WHEN r.status <> 'open' THEN r.unit_id END,
            settled_at = CASE WHEN r.status <> 'open' THEN now() END,
            resolve_at = coalesce(now() + r.resolve_after_s * interval '1 second', t.resolve_at)
        {_rows("attempts", _SETTLED)}
        WHERE t.merchant_id = r.merchant_id AND t.key = r.key AND t.settled_by IS NULL""",
    "answers": f"""
        UPDATE idempotency_keys t SET answer_status = r.status, answer_body = r.body, answered_at = now()
        {_rows("answers", "merchant_id text, scope text, key text, status smallint, body text")}
        WHERE t.merchant_id = r.merchant_id AND t.scope = r.scope AND t.key = r.key AND t.answer_status IS NULL""",
    "released": """
        DELETE FROM idempotency_keys t
        USING jsonb_to_recordset($1->'released') AS r (merchant_id text, scope text, key text)
        WHERE t.merchant_id = r.merchant_id AND t.scope = r.scope AND t.key = r.key AND t.answer_status IS NULL""",
    "blocks": """
        INSERT INTO blocked_cards (merchant_id, fingerprint, decline, transaction_id)
        SELECT merchant_id, fingerprint, decline, transaction_id FROM jsonb_to_recordset($1->'blocks')
        AS r (merchant_id text, fingerprint text, decline jsonb, transaction_id text)
        ORDER BY merchant_id, fingerprint ON CONFLICT DO NOTHING""",
    "ledger": f"""
        WITH entries AS ({_insert("ledger", "ledger_entries", _LEDGER)}
            RETURNING merchant_id, account, currency, amount_minor)
        INSERT INTO ledger_pending (merchant_id, account, currency, amount_minor)
        SELECT merchant_id, account, currency, amount_minor FROM entries""",
    "audit": _insert("audit", "audit_logs", _AUDIT),
    "outbox": _insert("outbox", "outbox", _OUTBOX),
}
"""What a batch can carry, each part one statement over its rows, in the order they are written. (The first is for the
hopeful: see batch.)"""

EACH = "claims", "payments", "refunds", "attempts"
"""Every row of these must find its place."""

ASTRAY = "P0002"
"""The SQLSTATE (`no_data_found`) of a batch of which a row did not find its place; the message names the part."""


def _step(part: str, statement: str) -> str:
    every = f"""
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> jsonb_array_length($1->'{part}') THEN RAISE no_data_found USING MESSAGE = '{part}'; END IF;"""
    return f"IF $1 ? '{part}' THEN {statement};{every if part in EACH else ''} END IF;"


# A function of the session's own: it comes and goes with the release that wrote it. As statements of their own, the
# parts of a batch of one or two took PostgreSQL half as long again: to read, to bind and to answer a dozen of them.
WRITE_BATCH = f"""
CREATE FUNCTION pg_temp.write_batch(batch jsonb) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE written integer;
BEGIN
    IF $1 ? 'unblocked' AND EXISTS ({BLOCKED % {"cards": "$1->'unblocked'"}}) THEN
        RAISE no_data_found USING MESSAGE = 'unblocked';
    END IF;
    {" ".join(_step(part, statement) for part, statement in PARTS.items())}
END $function$
"""

# Scanning whole tables is forbidden, and `attempts_due` (status = 'open', hence settled_by above) is for the resolver
# alone. How long these plans are kept: see plans.
PREPARE = (
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "PREPARE lock_batch (text[], text[]) AS " + LOCK % {"merchants": "$1", "ids": "$2"},
    "PREPARE claim_batch (jsonb) AS " + CLAIM % {"claims": "$1"} + "RETURNING unit_id",
    "PREPARE blocked (jsonb) AS " + BLOCKED % {"cards": "$1"},
    "PREPARE untouched (text[], text[]) AS " + UNTOUCHED % {"merchants": "$1", "keys": "$2"},
    WRITE_BATCH,
    "PREPARE write_batch (jsonb) AS SELECT pg_temp.write_batch($1)",
)
