"""The defects of scripts/mutants: what is planted, which promise it breaks, and the cheapest test that must notice.

A defect is plausible code: it imports, it works for whoever pays once and alone, and it loses money. Its edits are
exact texts, each of which stands exactly once in its file, so that the list cannot outlive the code it is about.
"""
# ruff: noqa: E501  (a line of the source with quotes around it)

from dataclasses import dataclass

SRC = "src/cleartill/"


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` becomes `new` in one file of the tree."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """`promise`: the rule it breaks. `test`: a node id. `chaos`: a short run of scripts/chaos must notice it too; the
    others it cannot tell, since a second guard keeps the money safe where only the first is taken away."""

    name: str
    promise: str
    edits: tuple[Edit, ...]
    test: str
    chaos: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """Without repeats, as they are shown."""
        return tuple(dict.fromkeys(edit.file.removeprefix(SRC) for edit in self.edits))


ELEVEN = (
    Mutant(
        "no intent row",
        "One transaction holds claim, payment and attempt: commit, then call",
        (
            Edit(
                f"{SRC}usecases/attempt.py",
                """    await record(till, intent)
    assert intent.attempt is not None
    asked = Loaded(intent.payment, intent.refund, intent.attempt)
    try:
        outcome = await ask(provider)
""",
                """    assert intent.attempt is not None
    asked = Loaded(intent.payment, intent.refund, intent.attempt)
    try:
        outcome = await ask(provider)
        await record(till, intent)
""",
            ),
        ),
        "tests/usecases/test_charge.py::test_the_intent_is_on_disk_before_the_provider_is_asked",
        chaos=True,
    ),
    Mutant(
        "random reference",
        "The attempt key is a function of payment and operation, sent as the provider's idempotency key on every try",
        (
            Edit(
                f"{SRC}providers/bank.py",
                "from datetime import datetime\n",
                "from dataclasses import replace\nfrom datetime import datetime\n",
            ),
            Edit(
                f"{SRC}providers/bank.py",
                "from typing import Any\n",
                "from secrets import token_hex\nfrom typing import Any\n",
            ),
            Edit(
                f"{SRC}providers/bank.py",
                """        reply = await self._wire.send("POST", path, document, headers={"Idempotency-Key": ask.attempt_key})
""",
                """        ask = replace(ask, attempt_key=f"{ask.attempt_key}.{token_hex(4)}")
        document["reference"] = ask.attempt_key
        reply = await self._wire.send("POST", path, document, headers={"Idempotency-Key": ask.attempt_key})
""",
            ),
        ),
        "tests/contracts/test_provider_contract.py::test_a_repeated_key_has_one_effect_and_one_answer[bank]",
        chaos=True,
    ),
    Mutant(
        "timeout → failed",
        'Only an authentic "no" of the bank is a failure; a timeout is doubt',
        (
            Edit(
                f"{SRC}providers/guard.py",
                "import Accepted, Finding, NotSent, NotYet, Outcome, Unknown\n",
                "import Accepted, Declined, Finding, NotSent, NotYet, Outcome, Unknown\n",
            ),
            Edit(
                f"{SRC}providers/guard.py",
                'if unsent else Unknown("timeout")',
                'if unsent else Declined("processing_error")',
            ),
        ),
        "tests/providers/test_guard_calls.py::test_silence_until_the_deadline_is_unknown",
        chaos=True,
    ),
    Mutant(
        "SELECT-then-INSERT idempotency",
        "At most one charge per merchant and idempotency key (I2)",
        (
            Edit(
                f"{SRC}adapters/postgres/statements.py",
                "ORDER BY merchant_id, scope, key\nON CONFLICT DO NOTHING\n",
                """WHERE NOT EXISTS (
    SELECT FROM idempotency_keys k WHERE k.merchant_id = c.merchant_id AND k.scope = c.scope AND k.key = c.key)
ORDER BY merchant_id, scope, key
ON CONFLICT (merchant_id, scope, key) DO UPDATE SET unit_id = EXCLUDED.unit_id,
    transaction_id = EXCLUDED.transaction_id, refund_id = EXCLUDED.refund_id, attempt_key = EXCLUDED.attempt_key
""",
            ),
        ),
        "tests/adapters/test_books_contention.py::test_a_key_that_is_taken_while_we_look_is_taken",
        chaos=True,
    ),
    Mutant(
        "unlocked refund sum",
        "Refund caps are kept by the compare-and-set and by CHECK (I6)",
        (
            Edit(
                f"{SRC}usecases/refund.py",
                "    return await once(till, claimed, lambda: decide(lambda: "
                "_refund(till, command, claimed, origin, deadline)))\n",
                """    sums = (await till.books.load(command.merchant_id, command.payment_id)).payment
    return await once(till, claimed, lambda: decide(lambda: _refund(till, command, claimed, origin, deadline, sums)))
""",
            ),
            Edit(
                f"{SRC}usecases/refund.py",
                """async def _refund(till: Till, command: RefundOrder, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    payment = (await till.books.load(command.merchant_id, command.payment_id)).payment
""",
                """async def _refund(
    till: Till, command: RefundOrder, claimed: Claim | None, origin: Origin, deadline: float, sums: Any
) -> Answer:
    payment = (await till.books.load(command.merchant_id, command.payment_id)).payment
    payment.amount_refunded_minor = sums.amount_refunded_minor
    payment.refund_reserved_minor = sums.refund_reserved_minor
""",
            ),
        ),
        "tests/usecases/test_refund.py::test_of_many_at_once_only_what_fits_succeeds",
        chaos=True,
    ),
    Mutant(
        "publish before commit",
        "An event is a committed fact: the outbox row is in its transaction (I7)",
        (
            Edit(
                f"{SRC}usecases/attempt.py",
                "from cleartill.ports import Loaded, Provider, Till, Unit, Verdict\n",
                "from cleartill.ports import Loaded, OutboxRow, Provider, Till, Unit, Verdict\n",
            ),
            Edit(
                f"{SRC}usecases/attempt.py",
                """    match await till.books.record(intent):
""",
                """    trace = intent.origin.traceparent
    told = [
        OutboxRow(fact.merchant_id, fact.subject_id, fact.seq, json.dumps(event).encode(), fact.type, trace)
        for fact in intent.facts
        for event in [fact.cloud_event(trace)]
    ]
    await till.publisher.publish(told)
    match await till.books.record(intent):
""",
            ),
        ),
        "tests/usecases/test_publish_outbox.py::test_what_was_not_recorded_is_told_to_nobody",
        chaos=True,
    ),
    Mutant(
        "outbox id > last",
        'The outbox is claimed under leases, never by "id > last" (I7)',
        (
            Edit(
                f"{SRC}adapters/postgres/backlog.py",
                """                .where(o.published_at.is_(None), o.shard.in_(list(lease.epochs)))
                .order_by(o.shard, o.subject_id, o.seq)
""",
                """                .where(o.published_at.is_(None), o.shard.in_(list(lease.epochs)))
                .where(
                    o.created_at
                    > select(func.coalesce(func.max(o.created_at), text("'-infinity'")))
                    .where(o.published_at.is_not(None))
                    .correlate(None)
                    .scalar_subquery()
                )
                .order_by(o.created_at, o.subject_id, o.seq)
""",
            ),
        ),
        "tests/adapters/test_outbox_late_commits.py::test_what_commits_late_is_not_passed_over",
        chaos=True,
    ),
    Mutant(
        "callback without compare-and-set",
        "A change of state is a compare-and-set on the version that was read",
        (
            Edit(
                f"{SRC}usecases/settle.py",
                "        still_open = attempt.status is AttemptStatus.OPEN\n"
                "        if still_open and isinstance(outcome, NotSent) and attempt.tries:\n",
                """        if event is not None:
            now = (await till.books.load_attempt(attempt.merchant_id, attempt.key)).payment
            loaded.payment.version, loaded.payment.seq = now.version, now.seq
        still_open = attempt.status is AttemptStatus.OPEN
        if still_open and isinstance(outcome, NotSent) and attempt.tries:
""",
            ),
        ),
        "tests/usecases/test_callbacks_in_any_order.py::test_what_is_written_while_a_callback_is_heard_stays_written",
    ),
    Mutant(
        "unfenced lease",
        "Leases carry an epoch: a thawed worker with an old one can write nothing",
        (
            Edit(
                f"{SRC}adapters/postgres/backlog.py",
                """ AND o.published_at IS NULL
    AND EXISTS (SELECT FROM outbox_leases l WHERE l.shard = r.shard AND l.epoch = r.epoch)
""",
                " AND o.published_at IS NULL\n",
            ),
        ),
        "tests/adapters/test_outbox_backlog.py::test_a_thawed_owner_marks_nothing",
    ),
    Mutant(
        "swallowed cancellation",
        "A task cancelled in mid-call leaves doubt, and stays cancelled",
        (
            Edit(
                f"{SRC}usecases/attempt.py",
                """        await settle(till, asked, Unknown("cancelled"), intent.origin)
        raise
""",
                """        return await settle(till, asked, NotSent("cancelled"), intent.origin)
""",
            ),
            Edit(
                f"{SRC}usecases/attempt.py",
                "from cleartill.domain.outcome import Outcome, Unknown\n",
                "from cleartill.domain.outcome import NotSent, Outcome\n",
            ),
        ),
        "tests/usecases/test_attempt.py::test_the_end_of_the_process_is_written_down_as_doubt",
    ),
    Mutant(
        "declines trip the breaker",
        "Declines never trip the breaker: the provider is well",
        (
            Edit(
                f"{SRC}providers/circuit.py",
                "        failed = isinstance(said, Unknown) or (",
                "        failed = isinstance(said, Unknown | Declined) or (",
            ),
        ),
        "tests/providers/test_guard_breaker.py::test_declines_never_trip_it",
    ),
)
"""In the words of the promise: each of them is what somebody once did to a payment system."""
