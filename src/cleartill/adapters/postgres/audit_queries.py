"""The SQL of reconciliation: each query is of one page, the rows whose keys lie beyond `after` and up to `end`.

Where a page ends is asked first; `last` says that there is no such row, and the page goes on to the end of the table.
Everything else is looked up by an index that was there before anybody reconciled.
"""

from sqlalchemy import text

# Tables that were never analysed, or grew since, look small to PostgreSQL: it would scan all of one for each page. And
# where a join leaves it the choice, it reads all of a merchant's entries for each payment: hence sums in LATERAL, which
# it looks up fact by fact.
BY_INDEX = text("SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")

BEGIN = text("""
UPDATE reconcile_lease
SET owner = :owner, run = run + 1, until = now() + interval '1 second' * :lease_s
WHERE until <= now() AND (:within_s = 0 OR ended_at <= now() - interval '1 second' * :within_s)
RETURNING run, now() AS began_at, resume_from
""")

DEPTHS = text("""
SELECT extract(epoch FROM now() - ended_at) AS age_s,
    (SELECT count(*) FROM discrepancies WHERE resolved_at IS NULL) AS open
FROM reconcile_lease
""")

RENEW = text("""
UPDATE reconcile_lease SET until = now() + interval '1 second' * :lease_s WHERE owner = :owner AND run = :run
RETURNING run
""")

KEEP = text("""
INSERT INTO statement_lines AS kept (run, provider, reference, kind, done, amount_minor, currency, at, times, place)
SELECT :run, :provider, reference, kind, done, amount_minor, currency, at, times, :place
FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS r (reference text, kind text, done text, amount_minor bigint,
    currency text, at timestamptz, times integer)
ON CONFLICT (run, provider, reference) DO UPDATE SET kind = excluded.kind, done = excluded.done,
    amount_minor = excluded.amount_minor, currency = excluded.currency, at = excluded.at,
    times = kept.times + excluded.times, place = excluded.place
WHERE kept.place < excluded.place
""")

LINES = text("""
SELECT s.provider, s.reference, s.kind, s.done, s.amount_minor, s.currency, s.at, s.times,
    a.merchant_id AS our_merchant_id, a.subject_id AS our_subject_id, a.kind AS our_kind, a.status AS our_status,
    a.amount_minor AS our_amount_minor,
    a.currency AS our_currency, a.created_at AS our_created_at, a.settled_at AS our_settled_at
FROM statement_lines s LEFT JOIN LATERAL (
    SELECT merchant_id, transaction_id AS subject_id, kind, status, amount_minor, currency, created_at, settled_at
    FROM attempts WHERE key = s.reference AND provider = s.provider
    UNION ALL
    SELECT merchant_id, id, kind, CASE
            WHEN split_part(s.reference, '.transfer.', 2) <> CAST(round AS text) THEN 'not_sent'
            WHEN status = 'succeeded' THEN 'approved' WHEN status = 'failed' THEN 'declined' ELSE 'open' END,
        amount_minor, currency, created_at, CASE WHEN status IN ('succeeded', 'failed') THEN updated_at END
    FROM transfers WHERE id = split_part(s.reference, '.transfer.', 1) AND provider = s.provider
        AND split_part(s.reference, '.transfer.', 2) IN (SELECT CAST(generate_series(1, round) AS text))) AS a ON true
WHERE s.run = :run AND (s.provider, s.reference) > (:after_0, :after_1)
    AND (:last OR (s.provider, s.reference) <= (:end_0, :end_1))
ORDER BY s.provider, s.reference
""")

OPERATIONS = text("""
SELECT a.merchant_id, a.key AS reference, a.transaction_id AS subject_id, a.kind, a.status, a.amount_minor, a.currency,
    a.created_at, a.settled_at, shown.alone, k.attempt_key AS holder, k.created_at AS held_since,
    a.settled_at AS ended_at,
    a.status = 'approved' AND a.claim IS NOT NULL AND k.attempt_key IS DISTINCT FROM a.key AS unheld
FROM attempts a
LEFT JOIN idempotency_keys k ON a.status = 'approved' AND k.merchant_id = a.merchant_id
    AND k.scope = a.claim ->> 'scope' AND k.key = a.claim ->> 'key'
CROSS JOIN LATERAL (SELECT a.provider = ANY (:providers) AND a.status IN ('approved', 'open')
    AND NOT EXISTS (SELECT FROM statement_lines s
        WHERE s.run = :run AND s.provider = a.provider AND s.reference = a.key) AS alone) AS shown
WHERE (a.merchant_id, a.key) > (:after_0, :after_1) AND (:last OR (a.merchant_id, a.key) <= (:end_0, :end_1))
    AND a.created_at >= :since
    AND (shown.alone OR (a.status = 'approved' AND a.claim IS NOT NULL AND k.attempt_key IS DISTINCT FROM a.key))
ORDER BY a.merchant_id, a.key
""")

ANSWERS = text("""
SELECT k.merchant_id, k.scope, k.transaction_id, k.refund_id, k.answer_body, o.status, o.amount_minor, o.currency,
    coalesce(o.round > 1, false) AS retried
FROM idempotency_keys k
LEFT JOIN LATERAL (
    SELECT status, amount_minor, currency, 1 AS round FROM transactions
    WHERE merchant_id = k.merchant_id AND id = k.transaction_id AND k.refund_id IS NULL
    UNION ALL
    SELECT status, amount_minor, currency, 1 FROM refunds
    WHERE merchant_id = k.merchant_id AND id = k.refund_id AND transaction_id = k.transaction_id
    UNION ALL
    SELECT status, amount_minor, currency, round FROM transfers
    WHERE merchant_id = k.merchant_id AND id = k.transaction_id AND kind = k.scope) AS o ON true
WHERE (k.merchant_id, k.scope, k.key) > (:after_0, :after_1, :after_2)
    AND (:last OR (k.merchant_id, k.scope, k.key) <= (:end_0, :end_1, :end_2))
    AND k.answer_status BETWEEN 200 AND 299 AND k.answered_at >= :since
    AND split_part(k.scope, ':', 1)
        IN ('process', 'create', 'confirm', 'capture', 'void', 'fail', 'refund', 'deposit', 'withdrawal')
ORDER BY k.merchant_id, k.scope, k.key
""")

JOURNALS = text("""
SELECT summed.merchant_id, summed.fact_id, summed.subject_id, summed.off, known.known
FROM (
    SELECT merchant_id, fact_id, min(subject_id) AS subject_id,
        coalesce(jsonb_object_agg(currency, total) FILTER (WHERE total <> 0), '{}') AS off
    FROM (
        SELECT merchant_id, fact_id, currency, min(transaction_id) AS subject_id, sum(amount_minor) AS total
        FROM ledger_entries
        WHERE (merchant_id, fact_id) > (:after_0, :after_1) AND (:last OR (merchant_id, fact_id) <= (:end_0, :end_1))
            AND created_at >= :since
        GROUP BY merchant_id, fact_id, currency) AS by_currency
    GROUP BY merchant_id, fact_id) AS summed
CROSS JOIN LATERAL (SELECT EXISTS (
    SELECT FROM audit_logs f WHERE f.merchant_id = summed.merchant_id AND f.subject_id = summed.subject_id
        AND f.details ->> 'event_id' = summed.fact_id) AS known) known
WHERE summed.off <> '{}' OR NOT known.known
ORDER BY summed.merchant_id, summed.fact_id
""")

ACCOUNTS = text("""
SELECT merchant_id, account, currency, CAST(sum(stands) AS bigint) AS stands, CAST(sum(entry) AS bigint) AS entries,
    CAST(pg_current_snapshot() AS text) AS now
FROM (
    SELECT e.merchant_id, e.account, e.currency, 0 AS stands, e.amount_minor AS entry
    FROM ledger_entries e, CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) AS top
    WHERE (e.merchant_id, e.fact_id, e.account) > (:after_0, :after_1, :after_2)
        AND (:last OR (e.merchant_id, e.fact_id, e.account) <= (:end_0, :end_1, :end_2))
        AND (e.merchant_id > :after_0 OR pg_visible_in_snapshot(
            CAST(CAST(top - mod(top - CAST(CAST(e.xmin AS text) AS bigint), 4294967296) AS text) AS xid8),
            CAST(:seen AS pg_snapshot)))
    UNION ALL
    SELECT merchant_id, account, currency, amount_minor, 0 FROM balances
    WHERE merchant_id > :after_0 AND (:last OR merchant_id <= :end_0)
    UNION ALL
    SELECT merchant_id, account, currency, amount_minor, 0 FROM ledger_pending
    WHERE merchant_id > :after_0 AND (:last OR merchant_id <= :end_0)) AS parts
GROUP BY merchant_id, account, currency
ORDER BY merchant_id, account, currency
""")
"""Of the merchant that the page before ended with only entries that `seen`, the snapshot of then, saw: what its
accounts stand at was read then. A row's `xmin` is the low half of its transaction's number; the high half is the newest
that lies below `top`. (No entry is written in a subtransaction, which a snapshot would not know.)"""

PAYMENTS = text("""
SELECT t.merchant_id, t.id, t.status, t.currency, t.amount_captured_minor AS captured,
    t.amount_refunded_minor AS refunded, t.refund_reserved_minor AS reserved, t.seq, r.*, a.*, f.*
FROM transactions t
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_minor) FILTER (WHERE status = 'succeeded'), 0) AS refunds_succeeded,
        coalesce(sum(amount_minor) FILTER (WHERE status IN ('processing', 'in_doubt')), 0) AS refunds_open
    FROM refunds WHERE merchant_id = t.merchant_id AND transaction_id = t.id) r
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE kind = 'authorize') AS authorizations,
        count(*) FILTER (WHERE kind IN ('void', 'expire')) AS releases,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'capture'
            OR (kind = 'authorize' AND t.capture_method = 'automatic')), 0) AS attempts_captured,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'refund'), 0) AS attempts_refunded
    FROM attempts WHERE merchant_id = t.merchant_id AND transaction_id = t.id AND status = 'approved') a
CROSS JOIN LATERAL (
    SELECT coalesce(-sum(l.moved), 0) AS ledger, count(*) AS facts, coalesce(min(u.seq), 0) AS first_seq,
        coalesce(max(u.seq), 0) AS last_seq,
        count(*) FILTER (WHERE u.recorded_at > now() - interval '1 second' * :events_kept_s
            AND NOT EXISTS (SELECT FROM outbox o WHERE o.merchant_id = u.merchant_id AND o.subject_id = u.subject_id
                AND o.seq = u.seq)) AS without_event
    FROM audit_logs u CROSS JOIN LATERAL (
        SELECT sum(amount_minor) AS moved FROM ledger_entries
        WHERE u.event IN ('payment.captured', 'refund.succeeded') AND merchant_id = u.merchant_id
            AND fact_id = u.details ->> 'event_id' AND account = 'acquirer') l
    WHERE u.merchant_id = t.merchant_id AND u.subject_id = t.id) f
WHERE (t.merchant_id, t.id) > (:after_0, :after_1) AND (:last OR (t.merchant_id, t.id) <= (:end_0, :end_1))
    AND t.updated_at >= :since
ORDER BY t.merchant_id, t.id
""")

TRANSFERS = text("""
SELECT t.merchant_id, t.id || '.transfer.' || t.round AS reference, t.id AS subject_id, t.kind,
    CASE t.status WHEN 'succeeded' THEN 'approved' WHEN 'failed' THEN 'declined' ELSE 'open' END AS status,
    t.amount_minor, t.currency, t.created_at,
    CASE WHEN t.status IN ('succeeded', 'failed') THEN t.updated_at END AS settled_at,
    deserves.alone, deserves.unheld, k.transaction_id AS holder, k.created_at AS held_since,
    CASE WHEN deserves.unheld THEN (
        SELECT min(u.recorded_at) FROM audit_logs u WHERE u.merchant_id = t.merchant_id AND u.subject_id = t.id
            AND u.event IN (t.kind || '.succeeded', t.kind || '.failed')) END AS ended_at
FROM transfers t
LEFT JOIN idempotency_keys k ON k.merchant_id = t.merchant_id
    AND k.scope = t.claim ->> 'scope' AND k.key = t.claim ->> 'key'
CROSS JOIN LATERAL (SELECT t.claim IS NOT NULL AND k.transaction_id IS DISTINCT FROM t.id AS unheld,
    t.provider = ANY (:providers) AND t.status <> 'failed'
        AND NOT EXISTS (SELECT FROM statement_lines s WHERE s.run = :run AND s.provider = t.provider
            AND s.reference = t.id || '.transfer.' || t.round) AS alone) AS deserves
WHERE (t.merchant_id, t.id) > (:after_0, :after_1) AND (:last OR (t.merchant_id, t.id) <= (:end_0, :end_1))
    AND t.created_at >= :since AND (deserves.alone OR deserves.unheld)
ORDER BY t.merchant_id, t.id
""")
"""A transfer that has ended may be marked or tried again later: its key is kept from its first end on."""

TRANSFER_SUMS = text("""
SELECT t.merchant_id, t.id, t.kind, t.status, t.currency, t.amount_minor AS amount, t.seq, f.*
FROM transfers t
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.bank), 0) AS bank, coalesce(sum(l.reserved), 0) AS reserved,
        count(*) AS facts, coalesce(min(u.seq), 0) AS first_seq, coalesce(max(u.seq), 0) AS last_seq,
        count(*) FILTER (WHERE u.recorded_at > now() - interval '1 second' * :events_kept_s
            AND NOT EXISTS (SELECT FROM outbox o WHERE o.merchant_id = u.merchant_id AND o.subject_id = u.subject_id
                AND o.seq = u.seq)) AS without_event
    FROM audit_logs u CROSS JOIN LATERAL (
        SELECT sum(amount_minor) FILTER (WHERE account = 'bank') AS bank,
            sum(amount_minor) FILTER (WHERE account = 'merchant_reserved') AS reserved
        FROM ledger_entries WHERE merchant_id = u.merchant_id AND fact_id = u.details ->> 'event_id') l
    WHERE u.merchant_id = t.merchant_id AND u.subject_id = t.id) f
WHERE (t.merchant_id, t.id) > (:after_0, :after_1) AND (:last OR (t.merchant_id, t.id) <= (:end_0, :end_1))
    AND t.updated_at >= :since
ORDER BY t.merchant_id, t.id
""")

SUBJECTS = text("""
SELECT s.merchant_id, s.subject_id, s.seq, f.facts, f.first_seq, f.last_seq
FROM (SELECT id AS merchant_id, id AS subject_id, seq FROM merchants
    UNION ALL SELECT merchant_id, id, seq FROM webhook_endpoints) AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS facts, coalesce(min(seq), 0) AS first_seq, coalesce(max(seq), 0) AS last_seq
    FROM audit_logs u WHERE u.merchant_id = s.merchant_id AND u.subject_id = s.subject_id) AS f
WHERE (s.merchant_id, s.subject_id) > (:after_0, :after_1)
ORDER BY s.merchant_id, s.subject_id LIMIT :size
""")

LATE = text("""
SELECT count(*) AS late, coalesce(extract(epoch FROM now() - min(created_at)), 0) AS oldest_s
FROM (SELECT created_at FROM outbox WHERE published_at IS NULL LIMIT 100000) AS waiting
WHERE created_at < now() - interval '1 second' * :after_s
""")

NOTE = text("""
INSERT INTO discrepancies AS known (kind, merchant_id, reference, id, subject_id, details, run, last_run)
SELECT kind, merchant_id, reference, id, subject_id, details, :run, :run
FROM jsonb_to_recordset(CAST(:found AS jsonb)) AS r (kind text, merchant_id text, reference text, id text,
    subject_id text, details text)
ON CONFLICT (kind, merchant_id, reference) DO UPDATE SET last_run = excluded.last_run, details = excluded.details,
    id = CASE WHEN known.resolved_at IS NULL THEN known.id ELSE excluded.id END,
    run = CASE WHEN known.resolved_at IS NULL THEN known.run ELSE excluded.run END,
    found_at = CASE WHEN known.resolved_at IS NULL THEN known.found_at ELSE excluded.found_at END,
    reviewed_at = CASE WHEN known.resolved_at IS NULL THEN known.reviewed_at END,
    resolved_at = NULL
RETURNING new.kind, new.merchant_id, new.reference, new.id, new.reviewed_at,
    old.id IS NULL OR old.resolved_at IS NOT NULL AS fresh
""")
"""What was thought to be gone and is found again is a new discrepancy, with a name and a fact of its own."""

END = text("""
UPDATE reconcile_lease SET until = '-infinity', ended_at = CASE WHEN :done THEN now() ELSE ended_at END,
    resume_from = CASE WHEN :done THEN CAST(:resume_from AS timestamptz) ELSE resume_from END
WHERE owner = :owner AND run = :run RETURNING run
""")

GONE = text("""
UPDATE discrepancies SET resolved_at = now()
WHERE resolved_at IS NULL AND last_run < :run AND kind = ANY (:kinds)
""")
