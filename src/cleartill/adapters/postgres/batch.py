"""One transaction over a batch of units, in fixed phases.

    (a) lock    the payments the batch touches, in id order, skipping what another writer holds
    (b) decide  in Python: whose version still stands, whose attempt is still its own to call unsent, whose card may
                be tried at all
    (c) claim   the survivors' idempotency keys, sorted
    (d) write   the winners, a statement for each part they carry, and commit

A claim is taken only once the compare-and-set is sure: taken together with a losing one it would orphan the key.

Nearly always every lock is free, every version stands and every key is new. So a batch is first written in the hope of
that, in one round trip from BEGIN to COMMIT, in which a lock or key that is missed is an error; only then step by step.
(One statement for all the parts took twice as long for a batch of one, which is what a service at half load writes:
hence a function with one for each; and four round trips a batch were half of what was left.)
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import psycopg2

from cleartill.adapters.postgres import faults, rows, statements
from cleartill.adapters.postgres.link import Link
from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.idempotency import Claim
from cleartill.ports import Unit, Verdict


class RowWentAstray(Exception):
    """A row of the batch did not find its place although its payment was locked: the books contradict themselves."""


async def write_batch(link: Link, units: Sequence[Unit], batch_id: str) -> dict[str, Verdict]:
    """The verdict for each unit by its id; a unit without one met a locked row and must come again. Commits.

    Raises psycopg2's errors, CommitLost, RowWentAstray; then the transaction may still be open.
    """
    began_ns = time.time_ns()
    verdicts: dict[str, Verdict] = {}
    winners = await _hopefully(link, units)
    if winners is None:
        await link.run("ROLLBACK; BEGIN")
        survivors = await _unblocked(link, await _decide(link, units, verdicts), verdicts)
        winners = await _claim(link, survivors, verdicts)
        await _write(link, "", _document(winners))
    committed_ns = time.time_ns()
    for unit in winners:
        verdicts[unit.id] = Verdict.RECORDED
        unit.stamps.update(began_ns=began_ns, committed_ns=committed_ns, batch_id=batch_id, batch_rows=len(winners))
    return verdicts


async def _hopefully(link: Link, units: Sequence[Unit]) -> Sequence[Unit] | None:
    """All of them in one round trip, or None: one of them has to be looked at."""
    if any(_says_not_sent(unit) for unit in units):
        return None
    document = _document(units)
    document["unblocked"] = [rows.checked_card(unit.payment) for unit in units if unit.unless_blocked]
    document["claims"] = [rows.claim_row(unit, unit.claim) for unit in units if unit.claim]
    try:
        await _write(link, "BEGIN; ", document)
    except RowWentAstray:
        return None
    return units


async def _write(link: Link, begin: str, document: dict[str, list[dict[str, Any]]]) -> None:
    """Write the parts that have rows, and commit."""
    carried = {part: rows for part, rows in document.items() if rows}
    try:
        await link.run(f"{begin}EXECUTE write_batch (%s); COMMIT", (_json(carried),))
    except psycopg2.Error as error:
        if error.pgcode == statements.ASTRAY:
            raise RowWentAstray(f"in {error.diag.message_primary}") from None
        if faults.kind_of(error) is faults.Kind.LOST:
            raise faults.CommitLost from error
        raise


async def already_written(link: Link, units: Iterable[Unit]) -> set[str]:
    """Ids of the units that are on disk, by the marks they left on payment and attempts."""
    wanted = [(unit.payment.merchant_id, unit.payment.id) for unit in units]
    parameters = {"merchants": [merchant for merchant, _ in wanted], "ids": [id for _, id in wanted]}
    return {mark for row in await link.run(statements.FATE, parameters) for mark in row if mark}


async def _decide(link: Link, units: Sequence[Unit], verdicts: dict[str, Verdict]) -> list[Unit]:
    moving = [unit for unit in units if unit.expecting]
    versions: dict[tuple[str, str], int] = {}
    if moving:
        merchants, ids = [u.payment.merchant_id for u in moving], [u.payment.id for u in moving]
        locked = await link.run("EXECUTE lock_batch (%s, %s)", (merchants, ids))
        versions = {(merchant_id, id): version for merchant_id, id, version in locked}
    survivors = []
    for unit in units:
        if unit.expecting:
            version = versions.get((unit.payment.merchant_id, unit.payment.id))
            if version is None:
                continue  # another writer holds the row
            if version != unit.expecting:
                verdicts[unit.id] = Verdict.CONFLICT
                continue
        survivors.append(unit)
    return await _still_unsent(link, survivors, verdicts)


async def _still_unsent(link: Link, units: list[Unit], verdicts: dict[str, Verdict]) -> list[Unit]:
    """Without those that say "not sent" of an attempt which the resolver has taken over: it may have sent it since."""
    unsent = [unit.attempt for unit in units if _says_not_sent(unit) and unit.attempt]
    if not unsent:
        return units
    wanted = [a.merchant_id for a in unsent], [a.key for a in unsent]
    ours = set(await link.run("EXECUTE untouched (%s, %s)", wanted))
    survivors = []
    for unit in units:
        if _says_not_sent(unit) and unit.attempt and (unit.attempt.merchant_id, unit.attempt.key) not in ours:
            verdicts[unit.id] = Verdict.CONFLICT
        else:
            survivors.append(unit)
    return survivors


def _says_not_sent(unit: Unit) -> bool:
    return unit.attempt is not None and unit.attempt.status is AttemptStatus.NOT_SENT


async def _unblocked(link: Link, units: list[Unit], verdicts: dict[str, Verdict]) -> list[Unit]:
    """Without those whose card an issuer said "never again" about."""
    cards = [rows.checked_card(unit.payment) for unit in units if unit.unless_blocked]
    if not cards:
        return units
    blocked = set(await link.run("EXECUTE blocked (%s)", (_json(cards),)))
    survivors = []
    for unit in units:
        card = unit.payment.card
        if unit.unless_blocked and card and (unit.payment.merchant_id, card.fingerprint) in blocked:
            verdicts[unit.id] = Verdict.CARD_BLOCKED
        else:
            survivors.append(unit)
    return survivors


async def _claim(link: Link, units: list[Unit], verdicts: dict[str, Verdict]) -> list[Unit]:
    claims = [rows.claim_row(unit, unit.claim) for unit in units if unit.claim]
    if not claims:
        return units
    ours = {unit_id for (unit_id,) in await link.run("EXECUTE claim_batch (%s)", (_json(claims),))}
    winners = []
    for unit in units:
        if unit.claim and unit.id not in ours:
            verdicts[unit.id] = Verdict.KEY_TAKEN
        else:
            winners.append(unit)
    return winners


def _document(units: Sequence[Unit]) -> dict[str, list[dict[str, Any]]]:
    document: dict[str, list[dict[str, Any]]] = {part: [] for part in statements.PARTS}
    for unit in units:
        _put_payment(document, unit)
        _put_attempt(document, unit)
        _put_facts(document, unit)
    return document


def _put_payment(document: dict[str, list[dict[str, Any]]], unit: Unit) -> None:
    payment, refund = unit.payment, unit.refund
    if unit.card:
        document["cards"].append(rows.sealed_card(unit.card))
    if unit.expecting == 0:
        document["new_payments"].append(rows.new_payment(payment, unit.id))
    else:
        changed = rows.changed_payment(payment, unit.id)
        changed.update(merchant_id=payment.merchant_id, id=payment.id, expecting=unit.expecting)
        document["payments"].append(changed)
    if unit.block and unit.block.is_hard and payment.card:
        document["blocks"].append(rows.blocked_card(payment, unit.block))
    if refund:
        if unit.is_intent:
            document["new_refunds"].append(rows.new_refund(refund))
        else:
            document["refunds"].append(rows.changed_refund(refund))


def _put_attempt(document: dict[str, list[dict[str, Any]]], unit: Unit) -> None:
    attempt = unit.attempt
    claim: Claim | None = unit.claim
    if attempt:
        claim = attempt.claim
        if unit.is_intent:
            document["new_attempts"].append(rows.new_attempt(attempt, unit))
        else:
            document["attempts"].append(rows.changed_attempt(attempt, unit))
    if claim and (unit.answer or unit.release):
        named = {"merchant_id": claim.merchant_id, "scope": claim.scope, "key": claim.key}
        if unit.answer:
            named.update(status=str(unit.answer.status), body=unit.answer.body)
        document["answers" if unit.answer else "released"].append(named)


def _put_facts(document: dict[str, list[dict[str, Any]]], unit: Unit) -> None:
    hops = [rows.hop_row(hop) for hop in unit.hops] or None
    for fact in unit.facts:
        document["audit"].append(rows.audit_row(fact, unit.origin, hops))
        document["outbox"].append(rows.outbox_row(fact, unit.origin))
        hops = None
    for journal in unit.journals:
        document["ledger"].extend(
            {
                "merchant_id": journal.merchant_id,
                "fact_id": journal.fact_id,
                "account": entry.account,
                "currency": journal.currency,
                "amount_minor": entry.amount_minor,
                "transaction_id": journal.subject_id,
            }
            for entry in journal.entries
        )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
