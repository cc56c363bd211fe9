"""Money that waits, asserted: deposits, withdrawals, the bank's callbacks, dead letters, and whether the books agree.

A merchant of its own, so that every balance is known to the cent. Whether the bank makes a transfer or refuses it, both
are right. On a `make run` the simulator is told what to do where one of the two is wanted, and let go again.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import psycopg2
from smoke_account import CALLBACK, ENDED_WITHIN_S, FINAL, Account, command, conduct, onboard, signed
from smoke_calls import Smoke, local_stack

from cleartill.domain.merchant import DEMO_ADMIN_KEY

AT_ONCE, TRIES = 20, 5


def waiting(smoke: Smoke) -> None:
    smoke.section("Deposits and withdrawals")
    account = onboard(smoke)
    left = withdrawals(account, deposits(account))
    transactions(account)
    callbacks(account, left)
    dead_letters(account)


def deposits(account: Account) -> int:
    """What the balance holds in the end, in cents."""
    key = uuid4().hex
    account.ask("no idempotency key", "deposits", "1.00", 400, idempotency_key=None)
    account.ask("half a cent", "deposits", "0.005", 422)
    expect = {"status": "pending", "type": "deposit", "amount": 500, "amount_minor": 50_000}
    made = account.ask("deposit 500.00: taken on", "deposits", "500.00", idempotency_key=key, expect=expect).json()

    def the_same(answer: httpx.Response) -> bool:
        replayed = answer.headers.get("Idempotent-Replayed") == "true"
        return replayed and answer.json()["id"] == made["id"] and answer.status_code in (201, 202)

    ended = account.read("deposits", made["id"])["status"] in FINAL
    more = {"idempotency_key": key, "check": the_same}
    account.ask("the same again: one deposit", "deposits", "500.00", 201 if ended else 202, **more)
    reused = {"code": "idempotency_key_reused"}
    account.ask("the same key, another amount", "deposits", "500.01", 409, idempotency_key=key, expect=reused)
    how = account.ended("the deposit", "deposits", made["id"], attempts=1)
    account.ask("the same again: how it ended", "deposits", "500.00", 201, expect={"status": how}, **more)
    held = 50_000 if how == "succeeded" else 0
    account.holds("credited once" if held else "nothing came of it", held)
    for _ in range(TRIES):  # one in ten is refused
        if not held:
            made = account.ask("deposit 500.00", "deposits", "500.00").json()
            held = 50_000 if account.ended("another", "deposits", made["id"]) == "succeeded" else 0
    return held


def withdrawals(account: Account, held: int) -> int:
    """What the balance holds in the end."""
    too_much = {"code": "insufficient_funds"}
    account.ask("withdraw a cent more than is there", "withdrawals", f"{(held + 1) / 100:.2f}", 409, expect=too_much)
    made = account.ask("withdraw 120.00", "withdrawals", "120.00", expect={"status": "pending"}).json()
    account.holds("reserved at once", held - 12_000, 12_000)
    account.ask("what is reserved is not there", "withdrawals", f"{held / 100:.2f}", 409, expect=too_much)
    paid = account.ended("the withdrawal", "withdrawals", made["id"]) == "succeeded"
    held -= 12_000 * paid
    account.holds("paid out" if paid else "given back", held)
    if account.bank:
        with conduct(account.bank, transfer_fail_rate=1.0, transfer_delay_s=[3.0, 3.0]):
            made = account.ask("withdraw 30.00, which the bank will refuse", "withdrawals", "30.00").json()
            account.holds("reserved", held - 3_000, 3_000)
            account.ended("it", "withdrawals", made["id"], "failed")
        heard = account.hear(made["id"], "failed").status_code
        account.smoke.note("the bank says so again", [] if heard == 200 else ["was not heard"], heard)
        account.holds("given back once", held)
        return held
    with ThreadPoolExecutor(4) as pool:
        asked = list(
            pool.map(lambda _: account.ask("withdraw 1.00", "withdrawals", "1.00").json()["id"], range(AT_ONCE))
        )
    ends = [account.ended("it", "withdrawals", id) for id in asked]
    held -= 100 * ends.count("succeeded")
    account.holds(f"{ends.count('failed')} refused and given back", held)
    return held


def transactions(account: Account) -> None:
    smoke, at, key = account.smoke, f"{account.path}/transactions", account.key
    smoke.section("Transactions")
    page = smoke.get(
        "two of them", f"{at}?limit=2", key=key, check=lambda answer: len(answer.json()["data"]) == 2
    ).json()

    def older(answer: httpx.Response) -> bool:
        return max(one["created_at"] for one in answer.json()["data"]) <= page["data"][-1]["created_at"] and not {
            one["id"] for one in page["data"]
        } & {one["id"] for one in answer.json()["data"]}

    smoke.get("the next, by cursor", f"{at}?limit=2&cursor={page['next_cursor']}", key=key, check=older)
    for type in ("deposit", "withdrawal"):

        def only(answer: httpx.Response, type: str = type) -> bool:
            return {one["type"] for one in answer.json()["data"]} == {type}

        smoke.get(f"type={type}", f"{at}?type={type}", key=key, check=only)
    none = f"{at}?type=refund"
    smoke.get("type=refund: there are none", none, key=key, check=lambda answer: answer.json()["data"] == [])
    smoke.get("a type that is none", f"{at}?type=gift", 422, key=key)
    smoke.get("as a user's", f"/api/v1/users/{account.id}/transactions?limit=1", key=key)
    smoke.get("another merchant's are not there", "/api/v1/merchants/merchant_123/transactions", 404, key=key)


def callbacks(account: Account, held: int) -> None:
    smoke, heard = account.smoke, {"received": True}
    smoke.section("The bank's callbacks, signed by scripts/sign_callback.py")
    first = bool(account.bank)
    with conduct(account.bank, transfer_fail_rate=0.0, transfer_delay_s=[15.0, 15.0]):
        id = account.ask("deposit 10.00", "deposits", "10.00").json()["id"]
        at = f"/api/v1/deposits/{id}"
        account.asked(at)
    true = "success" if first or account.ended("it", "deposits", id) == "succeeded" else "failed"
    known = account.read("deposits", id)
    words = ["--bank-reference", known["bank_reference"], "--event-id", f"evt-{id}"]

    def call(what: str, status: int, *options: str, secret: str | None = None, **more: Any) -> None:
        body = signed(f"{id}.transfer.1", true, *options, secret=secret)
        smoke.post(what, CALLBACK, body, status, key=None, **more)

    call("forged", 401, *words, secret="somebody else's")
    call("stale: five minutes old", 401, *words, "--occurred-at", "2026-01-01T00:00:00+00:00")
    smoke.get("nothing has changed", at, key=account.key, check=lambda answer: answer.json() == known)
    call("good", 200, *words, expect=heard)
    ended = {"status": "succeeded" if true == "success" else "failed", "needs_review": None}
    after = smoke.get("it counts at once" if first else "it is what we knew", at, key=account.key, expect=ended).json()
    held += 1_000 * (true == "success")
    call("the same again", 200, *words, expect=heard)
    smoke.get("no effect", at, key=account.key, check=lambda answer: answer.json() == after)
    call(
        "another amount",
        200,
        "--event-id",
        f"evt-{id}-2",
        "--amount-minor",
        "999999",
        "--currency",
        "USD",
        expect=heard,
    )
    smoke.get(
        "a person should look",
        at,
        key=account.key,
        expect={"status": ended["status"]},
        check=lambda answer: "another amount" in answer.json()["needs_review"],
    )
    account.holds("no money moved by that", held)
    nobody = signed(f"dep_{'0' * 26}.transfer.1", true)
    smoke.post("about nothing of ours", CALLBACK, nobody, 404, key=None)
    smoke.post("half a callback", CALLBACK, b'{"transaction_id": ', 422, key=None)


def dead_letters(account: Account) -> None:
    smoke, admin = account.smoke, DEMO_ADMIN_KEY
    smoke.section("Dead letters")
    smoke.get("they are the operator's", "/api/v1/transfers/dead", 403, key=account.key)
    smoke.get("list them", "/api/v1/transfers/dead?limit=100", key=admin)
    live = account.ask("deposit 1.00", "deposits", "1.00").json()["id"]
    smoke.post("what is alive is not retried", f"/api/v1/transfers/{live}/retry", None, 409, key=admin)
    if not (account.bank and "postgres" in account.stack.get("pids", {})):
        smoke.say.print("  None is made here: the bank would have to be away for minutes.")
        return
    account.ended("it", "deposits", live)
    for how in ("by the API", "by the command line"):
        with conduct(account.bank, down=True):
            id = account.ask("deposit 2.00, while the bank is away", "deposits", "2.00").json()["id"]
            hurried(account, id)
        at, given_up = f"/api/v1/deposits/{id}", lambda answer: "retries used up" in answer.json()["dead_letter"]
        smoke.get("given up after five retries", at, key=account.key, expect={"attempts": 6}, check=given_up)
        if how == "by the API":
            smoke.get(
                "it is listed",
                "/api/v1/transfers/dead?limit=100",
                key=admin,
                check=lambda answer, id=id: id in answer.text,
            )
            smoke.post(f"retry it {how}", f"/api/v1/transfers/{id}/retry", None, 202, key=admin)
        else:
            command(smoke, "it is listed", ("transfers", "dead"), lambda out, id=id: id in out)
            command(smoke, f"retry it {how}", ("transfers", "retry", id), lambda out, id=id: f"{id} is " in out)
        account.ended("it", "deposits", id, dead_letter=None)


def hurried(account: Account, id: str) -> None:
    """Until it is given up; its tries, up to half a minute apart, are made due at once."""
    deadline = time.monotonic() + ENDED_WITHIN_S
    with closing(psycopg2.connect(account.stack["postgres"])) as books:
        books.autocommit = True
        while not account.read("deposits", id)["dead_letter"] and time.monotonic() < deadline:
            with books.cursor() as cursor:
                cursor.execute("UPDATE transfers SET next_at = now() WHERE id = %s AND next_at IS NOT NULL", (id,))
            time.sleep(0.2)


def reconciled(smoke: Smoke, mockserver: bool, since: datetime) -> None:
    """What this run has done, in both books."""
    smoke.section("Do the books agree?")
    if mockserver:
        smoke.say.print("  The bank is MockServer: it keeps no book to compare with.")
        return
    if local_stack().get("api") != smoke.url:
        smoke.say.print("  In containers ask one of them: docker compose exec api cleartill reconcile")
        return
    words = ("reconcile", "--json", "--grace-s", "5", "--since", f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")
    wrong = len(smoke.wrong)
    told = command(smoke, "they do", words, lambda out: json.loads(out)["clean"] is True)
    if len(smoke.wrong) == wrong:
        report = json.loads(told)
        smoke.say.print(f"  {report['matched']:,} lines match, {report['waiting']:,} wait")
