"""The SQL of one batch, prepared once per connection: one statement for each part that a batch can carry."""

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
FROM jsonb_to_recordset(%(claims)s::jsonb) AS c (merchant_id text, scope text, key text, fingerprint text,
    unit_id text, transaction_id text, refund_id text, attempt_key text)
ORDER BY merchant_id, scope, key
ON CONFLICT DO NOTHING
RETURNING unit_id
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
FROM jsonb_to_recordset(%(cards)s::jsonb) AS r (merchant_id text, fingerprint text)
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


def _rows(columns: str) -> str:
    return f"FROM jsonb_to_recordset($1) AS r ({columns})"


def _insert(table: str, columns: str) -> str:
    names = ", ".join(_names(columns))
    return f"INSERT INTO {table} ({names}) SELECT {names} {_rows(columns)}"


def _assign(columns: str) -> str:
    return ", ".join(f"{name} = r.{name}" for name in _names(columns))


def _each(rows: str) -> str:
    """The statement must return a row for each of its document, or fail with ASTRAY."""
    return f"WITH found AS ({rows}) SELECT 1 / (count(*) = jsonb_array_length($1))::integer FROM found"


ASTRAY = "22012"
"""The SQLSTATE of a division by zero, which is how a part says that one of its rows did not find its place."""

PARTS = {
    "locks": _each("""
        SELECT FROM jsonb_to_recordset($1) AS r (merchant_id text, id text, version integer)
        JOIN transactions t USING (merchant_id, id, version)
        ORDER BY t.merchant_id, t.id FOR NO KEY UPDATE OF t SKIP LOCKED"""),
    "claims": _each(CLAIM % {"claims": "$1"}),
    "unblocked": f"SELECT 1 / (count(*) = 0)::integer FROM ({BLOCKED % {'cards': '$1'}}) AS blocked",
    "cards": f"""
        INSERT INTO card_vault (merchant_id, token, key_version, sealed, summary)
        SELECT merchant_id, token, key_version, decode(sealed, 'base64'), summary
        {_rows("merchant_id text, token text, key_version integer, sealed text, summary jsonb")}""",
    "new_payments": _insert("transactions", _PAYMENT),
    "payments": _each(f"""
        UPDATE transactions t SET {_assign(_CHANGED)}
        {_rows("merchant_id text, id text, expecting integer, " + _CHANGED)}
        WHERE t.merchant_id = r.merchant_id AND t.id = r.id AND t.version = r.expecting RETURNING 1"""),
    "new_refunds": _insert("refunds", _REFUND),
    "refunds": _each(f"""
        UPDATE refunds t SET {_assign(_REFUND_CHANGED)}
        {_rows("merchant_id text, id text, " + _REFUND_CHANGED)}
        WHERE t.merchant_id = r.merchant_id AND t.id = r.id AND t.status IN ('processing', 'in_doubt') RETURNING 1"""),
    "new_attempts": f"""
        INSERT INTO attempts ({", ".join(_names(_ATTEMPT))}, resolve_at)
        SELECT {", ".join(_names(_ATTEMPT))}, now() + resolve_after_s * interval '1 second'
        {_rows(_ATTEMPT + ", resolve_after_s float8")}""",
    "attempts": _each(f"""
        UPDATE attempts t SET status = r.status, reason = r.reason, provider_id = r.provider_id,
            network_code = r.network_code,
            settled_by = CASE WHEN r.status <> 'open' THEN r.unit_id END,
            settled_at = CASE WHEN r.status <> 'open' THEN now() END,
            resolve_at = coalesce(now() + r.resolve_after_s * interval '1 second', t.resolve_at)
        {_rows(_SETTLED)}
        WHERE t.merchant_id = r.merchant_id AND t.key = r.key AND t.settled_by IS NULL RETURNING 1"""),
    "answers": f"""
        UPDATE idempotency_keys t SET answer_status = r.status, answer_body = r.body, answered_at = now()
        {_rows("merchant_id text, scope text, key text, status smallint, body text")}
        WHERE t.merchant_id = r.merchant_id AND t.scope = r.scope AND t.key = r.key AND t.answer_status IS NULL""",
    "released": """
        DELETE FROM idempotency_keys t
        USING jsonb_to_recordset($1) AS r (merchant_id text, scope text, key text)
        WHERE t.merchant_id = r.merchant_id AND t.scope = r.scope AND t.key = r.key AND t.answer_status IS NULL""",
    "blocks": """
        INSERT INTO blocked_cards (merchant_id, fingerprint, decline, transaction_id)
        SELECT merchant_id, fingerprint, decline, transaction_id
        FROM jsonb_to_recordset($1) AS r (merchant_id text, fingerprint text, decline jsonb, transaction_id text)
        ORDER BY merchant_id, fingerprint ON CONFLICT DO NOTHING""",
    "ledger": f"""
        WITH entries AS ({_insert("ledger_entries", _LEDGER)} RETURNING merchant_id, account, currency, amount_minor)
        INSERT INTO ledger_pending (merchant_id, account, currency, amount_minor)
        SELECT merchant_id, account, currency, amount_minor FROM entries""",
    "audit": _insert("audit_logs", _AUDIT),
    "outbox": _insert("outbox", _OUTBOX),
}
"""What a batch can carry, each part one statement over its rows, in the order they are written. (The first three are
for the hopeful: see batch.)"""

# Scanning whole tables is forbidden, and `attempts_due` (status = 'open', hence settled_by above) is for the resolver
# alone. How long these plans are kept: see plans.
PREPARE = (
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "PREPARE lock_batch (text[], text[]) AS " + LOCK % {"merchants": "$1", "ids": "$2"},
    "PREPARE claim_batch (jsonb) AS " + CLAIM % {"claims": "$1"},
    "PREPARE blocked (jsonb) AS " + BLOCKED % {"cards": "$1"},
    "PREPARE untouched (text[], text[]) AS " + UNTOUCHED % {"merchants": "$1", "keys": "$2"},
    *(f"PREPARE write_{part} (jsonb) AS {statement}" for part, statement in PARTS.items()),
)
