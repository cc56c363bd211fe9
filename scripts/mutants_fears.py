"""More defects for scripts/mutants: what an engineer of payments is afraid of at night, beyond the eleven."""
# ruff: noqa: E501  (a line of the source with quotes around it)

from mutants_defects import SRC, Edit, Mutant


def _one(name: str, promise: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(name, promise, (Edit(SRC + file, old, new),), f"tests/{test}")


FEARS = (
    _one(
        "one minor unit too many",
        "Refunds never exceed what was captured, not by a cent (I6)",
        "domain/payment.py",
        "        if not 0 < amount_minor <= left:\n",
        "        if not 0 < amount_minor <= left + 1:\n",
        "domain/test_payment_states.py::test_a_refund_is_above_zero_and_at_most_what_is_left",
    ),
    _one(
        "a part captured as the whole",
        "What was captured is what the provider was asked for",
        "domain/payment.py",
        "facts = [self._captured(attempt.amount_minor, at)]",
        "facts = [self._captured(self.amount_minor, at)]",
        "usecases/test_capture.py::test_a_part_is_all_there_will_be",
    ),
    _one(
        "reservation dropped in doubt",
        "Refunds in doubt count until they are known to have failed (I6)",
        "domain/payment.py",
        "                refund.become(RefundStatus.IN_DOUBT, at)\n",
        "                refund.become(RefundStatus.IN_DOUBT, at)\n                self.refund_reserved_minor -= refund.amount_minor\n",
        "usecases/test_refund.py::test_a_reservation_is_kept_while_nobody_knows",
    ),
    _one(
        "wrong ISO exponent",
        "Amounts are minor units by ISO 4217: the shilling of Uganda has none",
        "domain/money.py",
        'UGX VND VUV XAF XOF XPF"\n_THREE = "BHD ',
        'VND VUV XAF XOF XPF"\n_THREE = "UGX BHD ',
        "domain/test_money.py::test_every_currency_has_the_digits_of_iso_4217",
    ),
    _one(
        "fee rounded down",
        "A fee is rounded half up to a minor unit",
        "domain/ledger.py",
        "(amount_minor * self.basis_points + 5_000) // 10_000",
        "amount_minor * self.basis_points // 10_000",
        "domain/test_ledger.py::test_the_fee_of_a_capture",
    ),
    _one(
        "refund of the wrong sign",
        "A refund debits the merchant",
        "domain/ledger.py",
        "RefundSucceeded: (MERCHANT, ACQUIRER)",
        "RefundSucceeded: (ACQUIRER, MERCHANT)",
        "domain/test_ledger.py::test_a_refund_debits_the_merchant",
    ),
    _one(
        "sum before lock",
        "A debit that needs cover locks the balance, then sums in a new statement",
        "adapters/postgres/ledger.py",
        """    rolled_up: int = connection.execute(_LOCK, key).scalar_one()
    waiting: int = connection.execute(_PENDING, key).scalar_one()
""",
        """    waiting: int = connection.execute(_PENDING, key).scalar_one()
    rolled_up: int = connection.execute(_LOCK, key).scalar_one()
""",
        "adapters/test_ledger_balances.py::test_cover_is_counted_once_while_entries_are_rolled_up",
    ),
    _one(
        "CVV in the fingerprint",
        "A repeat is one whatever its CVV, and no trace of a CVV is kept (I10)",
        "domain/order.py",
        "card.expiry_year, card.holder.reveal()]",
        "card.expiry_year, card.holder.reveal(), card.cvv.reveal() if card.cvv else None]",
        "usecases/test_charge.py::test_the_order_of_metadata_and_the_cvv_make_no_other_body",
    ),
    _one(
        "amount not in the fingerprint",
        "A key with another amount is refused",
        "domain/order.py",
        "            self.amount_minor,\n            self.currency,\n            self.payment_method,\n            self.capture_method,\n            canonical_card",
        "            self.currency,\n            self.payment_method,\n            self.capture_method,\n            canonical_card",
        "usecases/test_charge.py::test_a_key_with_another_body_is_refused",
    ),
    _one(
        "KEY_TAKEN ignored",
        "Who finds the key taken sends nothing (I2)",
        "usecases/attempt.py",
        "            raise KeyAlreadyTaken\n        case Verdict.CARD_BLOCKED:",
        "            pass\n        case Verdict.CARD_BLOCKED:",
        "usecases/test_charge.py::test_a_repeat_gets_the_same_bytes",
    ),
    _one(
        "second final answer overwrites the first",
        "A final answer replays byte for byte (I5)",
        "adapters/postgres/statements.py",
        'AND t.key = r.key AND t.answer_status IS NULL""",\n    "released"',
        'AND t.key = r.key""",\n    "released"',
        "adapters/test_books_units.py::test_the_first_final_answer_stays",
    ),
    _one(
        "lost COMMIT taken for a rollback",
        "After a lost COMMIT acknowledgement, read back before deciding",
        "adapters/postgres/writer.py",
        "waiting.unsure |= kind is faults.Kind.UNSURE",
        "waiting.unsure |= False",
        "adapters/test_books_lost_commit.py::test_a_unit_in_a_lost_commit_is_recorded_once",
    ),
    _one(
        "marked before it is published",
        "An outbox row is marked only after the delivery report (I7)",
        "usecases/publish_outbox.py",
        """    reports = await till.publisher.publish(rows)
    return await till.backlog.mark_published(lease, reports) if reports else 0
""",
        """    from cleartill.ports import Published

    marked = await till.backlog.mark_published(lease, [Published(row, 0, 0) for row in rows])
    await till.publisher.publish(rows)
    return marked
""",
        "usecases/test_publish_outbox.py::test_killed_before_the_broker_has_it_it_is_published_again",
    ),
    _one(
        "unsafe retry",
        "A call is made again only where that is safe, and time is left",
        "providers/guard.py",
        "        if outcome in RETRIED and self._left_s > RETRY_PAUSE_S:\n",
        "        if isinstance(outcome, Unknown | NotSent) and self._left_s > RETRY_PAUSE_S:\n",
        "providers/test_guard_calls.py::test_nothing_else_is_asked_twice",
    ),
    _one(
        "two probes at half-open",
        "A half-open breaker lets one probe through",
        "providers/circuit.py",
        "        if self.left_s > 0 or self._probing:\n",
        "        if self.left_s > 0:\n",
        "providers/test_guard_breaker.py::test_half_open_lets_one_probe_of_fifty_through_and_recovers",
    ),
    _one(
        "deadline that starts anew",
        "The budget starts at arrival, queues included, and the bank enforces its end",
        "usecases/attempt.py",
        "timedelta(seconds=max(0.0, deadline - till.clock.monotonic()))",
        "timedelta(seconds=till.budget_s)",
        "usecases/test_charge.py::test_the_provider_may_act_no_longer_than_the_caller_waits",
    ),
    _one(
        '"not yet" taken for "never"',
        "That the bank does not know it yet is no answer",
        "usecases/resolve.py",
        '                return Unknown("not_yet")\n',
        '                return Declined("not_charged")\n',
        "usecases/test_resolve.py::test_who_cannot_say_yet_is_asked_again",
    ),
    _one(
        "callback believed about the amount",
        "A callback with another amount moves no money",
        "usecases/receive_callback.py",
        "    if callback.amount_minor not in (None, attempt.amount_minor) or callback.currency not in",
        "    if callback.currency not in",
        "usecases/test_receive_callback.py::test_another_amount_moves_no_money_and_asks_for_a_person",
    ),
    _one(
        "callback believed for ever",
        "A stale callback is refused",
        "providers/bank_callback.py",
        "callback.occurred_at < now() - STALE_AFTER",
        "callback.occurred_at > now() + STALE_AFTER",
        "providers/test_bank_callback.py::test_an_old_signature_is_not_believed",
    ),
    _one(
        "old webhook secret for ever",
        "A secret that was rotated signs for a day, and no longer",
        "adapters/postgres/deliveries.py",
        "CASE WHEN e.old_secret_until > now() THEN e.old_secret END AS old_secret",
        "e.old_secret AS old_secret",
        "contracts/test_deliveries_contract.py::test_both_secrets_go_along_while_the_old_one_lasts",
    ),
    _one(
        "scope not looked at",
        "A key without the scope may not do it",
        "api/auth.py",
        "    if not principal.may(scope):\n",
        "    if not principal.scopes:\n",
        "api/test_keys_and_tenants.py::test_a_missing_scope_is_403",
    ),
    _one(
        "another merchant's payment",
        "Every query of a merchant's object names the merchant",
        "adapters/postgres/reads.py",
        "where(t.merchant_id == merchant_id, t.id == payment_id)",
        "where(t.id == payment_id)",
        "contracts/test_books_contract.py::test_nothing_is_found_that_is_not_there_or_not_yours",
    ),
)
