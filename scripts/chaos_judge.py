"""The end of scripts/chaos: wait until everything is final, then hold the clients' history, our books, the bank's own
book and Kafka against each other. Whatever does not fit is a discrepancy."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg2
from chaos_ear import Ear
from chaos_history import FINAL, Call, Client
from chaos_load import MERCHANT
from chaos_stack import Stack

FINAL_WITHIN_S, LOST_AFTER_S = 180.0, 60.0
"""`LOST_AFTER_S`: I8."""
ASKING, PAGE = 24, 100
DOUBTFUL_S = 2.0
LATER: dict[str, set[str]] = {
    "pending": {"pending", "failed", "authorized", "captured", "voided", "partially_refunded", "refunded"},
    "authorized": {"authorized", "captured", "voided", "expired", "partially_refunded", "refunded"},
    "captured": {"captured", "partially_refunded", "refunded"},
    "failed": {"failed"},
    "voided": {"voided"},
    "succeeded": {"succeeded"},
}
"""What may follow what a client was told in a final answer."""

OPEN = """
SELECT 'payments', count(*) FROM transactions WHERE needs_review IS NULL
    AND status IN ('processing', 'in_doubt', 'requires_action')
UNION ALL SELECT 'refunds', count(*) FROM refunds WHERE needs_review IS NULL AND status IN ('processing', 'in_doubt')
UNION ALL SELECT 'attempts', count(*) FROM attempts JOIN transactions AS payment
    ON payment.merchant_id = attempts.merchant_id AND payment.id = attempts.transaction_id
    WHERE attempts.status = 'open' AND payment.needs_review IS NULL
UNION ALL SELECT 'transfers', count(*) FROM transfers WHERE needs_review IS NULL AND dead IS NULL
    AND status IN ('pending', 'processing', 'in_doubt')
UNION ALL SELECT 'events', count(*) FROM outbox WHERE published_at IS NULL
"""
DOUBTS = """
SELECT key, extract(epoch FROM created_at)::float8, extract(epoch FROM settled_at)::float8 FROM attempts
WHERE settled_at IS NOT NULL AND (tries > 0 OR settled_at - created_at > make_interval(secs => %s))
UNION ALL
SELECT transfers.id, extract(epoch FROM created_at)::float8, extract(epoch FROM min(audit_logs.recorded_at))::float8
FROM transfers JOIN audit_logs ON audit_logs.merchant_id = transfers.merchant_id
    AND audit_logs.subject_id = transfers.id AND audit_logs.event LIKE '%%.%%ed'
WHERE transfers.faults > 0 AND audit_logs.event NOT LIKE '%%.created' GROUP BY transfers.id, transfers.created_at
"""
REVIEWS = """
SELECT id, needs_review FROM transactions WHERE needs_review IS NOT NULL
UNION ALL SELECT id, needs_review FROM transfers WHERE needs_review IS NOT NULL
"""
EVENTS = "SELECT subject_id, max(seq)::int, count(*)::int FROM outbox GROUP BY subject_id"


async def each(calls: Iterable[Call], do: Callable[[Call], Awaitable[object]]) -> None:
    """Some at a time."""
    places = asyncio.Semaphore(ASKING)

    async def one(call: Call) -> None:
        async with places:
            await do(call)

    await asyncio.gather(*(one(call) for call in calls))


async def ask_again(client: Client) -> None:
    """Whatever is unknown is asked for again under its key, until it is known."""
    unknown = [call for call in client.history.calls if call.outcome == "unknown"]
    await each(unknown, lambda call: client.until_known(call, tries=30))


async def replay(client: Client) -> None:
    """Every key that was answered is sent once more; `heard` compares the answers byte for byte."""

    async def again(call: Call) -> None:
        for _ in range(30):
            if await client.send(call) in FINAL:
                return
            await asyncio.sleep(0.5)
        client.history.wrong.append(f"I5: call {call.number} ({call.kind}, {call.seen}) has no final answer in the end")

    await each([call for call in client.history.calls if call.final or call.seen], again)


def wait_until_final(stack: Stack, told: Callable[[str], None], within_s: float = FINAL_WITHIN_S) -> list[str]:
    """What is not final after all."""
    end, left = time.monotonic() + within_s, {"everything": 1}
    while time.monotonic() < end:
        try:
            left = {str(what): int(str(count)) for what, count in stack.rows(OPEN) if count}
        except psycopg2.Error:
            time.sleep(0.5)
            continue
        if not left:
            return []
        told(", ".join(f"{count} {what}" for what, count in left.items()))
        time.sleep(0.25)
    return [
        f"I8: {count} {what} are not final {within_s:.0f} s after everything is healthy" for what, count in left.items()
    ]


def recoveries(stack: Stack, outages: list[list[float]]) -> list[tuple[float, str]]:
    """Of each attempt and transfer in doubt: seconds from the later of its beginning and the moment the bank was
    healthy again, to its end; ascending."""
    found = []
    for key, began, ended in stack.rows(DOUBTS, DOUBTFUL_S):
        begin, end = float(str(began)), float(str(ended))
        healthy = [back for away, back in outages if back and away < end and begin < back < end]
        found.append((end - max([begin, *healthy]), str(key)))
    return sorted(found)


class BankBook:
    """The bank's own file, read without asking anybody. Sums are minor units."""

    def __init__(self, path: Path) -> None:
        self.charges: Counter[str] = Counter()
        self.captured: Counter[str] = Counter()
        self.refunded: Counter[str] = Counter()
        self.voided: set[str] = set()
        self.transferred: dict[str, int] = {}
        self.entries = 0
        payment_of: dict[str, str] = {}
        for line in path.read_bytes().splitlines():
            entry = json.loads(line).get("answer")
            if entry is None or entry["status"] not in ("approved", "succeeded"):
                continue
            self.entries += 1
            subject, amount = entry["reference"].partition(".")[0], entry["amount_minor"]
            if entry["kind"] == "authorization":
                payment_of[entry["operation_id"]] = subject
                self.charges[subject] += 1
                self.captured[subject] += amount if entry["capture"] else 0
            elif entry["kind"] == "transfer":
                self.transferred[subject] = amount if entry["direction"] == "deposit" else -amount
            else:
                payment = payment_of[entry["authorization_id"]]
                if entry["kind"] == "void":
                    self.voided.add(payment)
                else:
                    (self.captured if entry["kind"] == "capture" else self.refunded)[payment] += amount


async def listed(client: Client, what: str) -> dict[str, dict[str, Any]]:
    """All objects of a kind, page by page, by id."""
    found: dict[str, dict[str, Any]] = {}
    cursor = ""
    while True:
        page = await client.read(f"/api/v1/{what}?limit={PAGE}{cursor}")
        found |= {one["id"]: one for one in page["data"]}
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def everything(client: Client) -> dict[str, dict[str, Any]]:
    """What the merchant sees: payments, refunds, deposits, withdrawals; and the balance, under `balance`."""
    seen: dict[str, dict[str, Any]] = {}
    for what in ("payments", "refunds", "deposits", "withdrawals"):
        seen |= await listed(client, what)
    balance = await client.read(f"/api/v1/merchants/{MERCHANT}/balance")
    return seen | {"balance": balance}


def check_history(calls: list[Call], seen: dict[str, dict[str, Any]]) -> list[str]:
    """I3, I5: what was acknowledged is there, in the state that was acknowledged or a lawful later one."""
    wrong = []
    for call in calls:
        if call.seen is not None and call.seen not in seen:
            wrong.append(f"I3: {call.kind} {call.seen} was acknowledged, and is not there")
        elif call.final is not None:
            told, now = call.told, seen[call.told["id"]]
            if now["status"] not in LATER.get(told["status"], {told["status"]}):
                wrong.append(f"I3: {told['id']} was {told['status']}, and is {now['status']}")
            changed = [name for name in ("amount_minor", "currency", "created_at") if told[name] != now[name]]
            wrong += [f"I5: {told['id']}: {name} was {told[name]}, and is {now[name]}" for name in changed]
        elif call.outcome == "unknown":
            wrong.append(f"I8: nobody knows what became of call {call.number} ({call.kind}), sent {call.sent} times")
    done = defaultdict(set)
    for call in calls:
        if call.kind in ("capture", "void") and call.final and call.told["status"] in ("captured", "voided"):
            done[call.seen].add(call.kind)
    return wrong + [f"I6: {id} was captured and voided" for id, kinds in done.items() if len(kinds) > 1]


def check_bank(book: BankBook, seen: dict[str, dict[str, Any]]) -> list[str]:
    """I1, I2, I6: at most one charge per key, and the same money, to the cent, as the merchant is shown."""
    wrong: list[str] = []
    keys: dict[Any, list[str]] = defaultdict(list)
    for id, charges in book.charges.items():
        if id not in seen:
            wrong.append(f"I1: the bank charged {id}, which nobody knows")
            continue
        keys[seen[id]["order_id"]] += [id] * charges
    wrong += [f"I2: order {order} was charged {len(ids)} times: {ids}" for order, ids in keys.items() if len(ids) > 1]
    net = 0
    for id, view in seen.items():
        if not id.startswith("pay_"):
            continue
        at_bank = (book.captured[id], book.refunded[id])
        net += at_bank[0] - at_bank[1]
        if at_bank != (view["amount_captured_minor"], view["amount_refunded_minor"]):
            wrong.append(f"I1: {id}: the bank took and gave back {at_bank}, we say {view['status']}, {view}")
        if at_bank[1] > at_bank[0] or (id in book.voided and at_bank[0]):
            wrong.append(f"I6: {id}: took {at_bank[0]}, gave back {at_bank[1]}, voided: {id in book.voided}")
    for id, amount in book.transferred.items():
        if id not in seen or seen[id]["status"] != "succeeded" or seen[id]["amount_minor"] != abs(amount):
            wrong.append(f"I1: the bank transferred {amount} for {id}, we say {seen.get(id)}")
    succeeded = {id for id, view in seen.items() if id[:4] in ("dep_", "wdr_") and view["status"] == "succeeded"}
    wrong += [f"I1: {id} succeeded, and the bank knows nothing of it" for id in succeeded - set(book.transferred)]
    ours = sum(one["amount_minor"] + one["reserved_minor"] for one in seen["balance"]["balances"])
    theirs = net + sum(book.transferred.values())
    return wrong + ([] if ours == theirs else [f"I4: the balance is {ours}, by the bank's book it is {theirs}"])


def check_events(stack: Stack, ear: Ear) -> list[str]:
    """I7: every event has come, in order; and none of what was never committed."""
    wrong, told = list(ear.wrong), stack.rows(EVENTS)
    strangers = ear.last.keys() - {str(subject) for subject, _, _ in told}
    wrong += [f"I7: an event of {subject} came, which nobody knows" for subject in sorted(strangers)]
    for subject, last, count in told:
        if last != count:
            wrong.append(f"I7: {subject} has {count} events, the last is number {last}")
        if ear.last.get(str(subject), 0) != last:
            wrong.append(f"I7: {subject}: of {last} events {ear.last.get(str(subject), 0)} came")
    return wrong


def check_reviews(stack: Stack, contradicted: set[str]) -> list[str]:
    """Only what was lied about may ask for a person to look."""
    reviews = {str(id): str(why) for id, why in stack.rows(REVIEWS)}
    return [f"review without a reason: {id}: {why}" for id, why in reviews.items() if id not in contradicted]


def check_commands(stack: Stack) -> list[str]:
    """I1 to I7 by `cleartill reconcile`; I9 by `cleartill audit verify`, where there is one."""
    wrong = []
    command = stack.command("reconcile", "reconcile", "--json", "--grace-s", "0")
    if command.wait(600) != 0:
        told = command.log.read_text(errors="replace")
        wrong.append(f"reconcile ended with {command.exit_code}: {told[-3000:]}")
    known = stack.command("audit-help", "audit", "--help")
    if known.wait(60) == 0:
        command = stack.command("audit-verify", "audit", "verify")
        if command.wait(600) != 0:
            wrong.append(f"I9: audit verify ended with {command.exit_code}: {command.tail()}")
    return wrong
