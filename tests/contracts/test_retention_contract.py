"""What the Retention port promises, on the fake and on PostgreSQL: the old goes, what is in doubt stays."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cleartill.domain.errors import NotFound
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Unknown
from cleartill.domain.retention import KEPT, Perishable
from cleartill.domain.webhook import DeliveryStatus
from cleartill.ports import Callback, DeliveryQuery, Parcel
from cleartill.usecases.receive_callback import receive_callback
from cleartill.usecases.resolve import resolve
from cleartill.usecases.retry_transfer import retry_transfer
from fakes.providers import Scripted
from fakes.steps import ORIGIN, body, card, id_of
from fakes.transfers_desk import DEPOSIT
from real import MERCHANT, open_room
from real.hooks import DOWN, endpoint, tried
from real.keeping import DAY, Keeping, fake_keeping, postgres_keeping

KEYS, CALLBACKS, EVENTS, DELIVERIES, SESSIONS = Perishable
MINUTE = timedelta(minutes=1)
SILENCE = Unknown("timeout")
ACS = ActionRequired("bnk_1", "https://bank.example/3ds")
Case = Callable[[Keeping], Awaitable[None]]


@pytest.fixture(params=["fake", "postgres"])
async def books(request: pytest.FixtureRequest) -> AsyncIterator[Keeping]:
    if request.param == "fake":
        async with fake_keeping() as made:
            yield made
        return
    url = request.getfixturevalue("database_url")
    async with open_room(url) as room, postgres_keeping(room, url) as made:
        yield made


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_within_a_day_a_repeat_gets_the_first_answer_and_later_the_key_is_free(books: Keeping) -> None:
    first = await books.steps.charge("k")
    await books.age(DAY - MINUTE)
    assert await books.purge(KEYS) == 0
    again = await books.steps.charge("k")
    assert (again.replayed, again.body) == (True, first.body)

    await books.age(2 * MINUTE + timedelta(seconds=1))
    assert await books.purge(KEYS) == 1
    anew = await books.steps.charge("k")
    assert (anew.replayed, id_of(anew) == id_of(first)) == (False, False)


async def test_the_day_begins_with_the_final_answer(books: Keeping) -> None:
    books.world.bank.answers(Scripted(SILENCE, Approved("bnk_1", "REF1", "00")))
    await books.steps.charge("k")
    await books.age(3 * DAY)
    assert await books.purge(KEYS) == 0

    assert await resolve(books.till) == 1
    await books.age(DAY - MINUTE)
    assert await books.purge(KEYS) == 0
    assert body(await books.steps.charge("k"))["status"] == "captured"
    await books.age(3 * MINUTE)
    assert await books.purge(KEYS) == 1


async def a_charge(books: Keeping) -> None:
    books.world.bank.answers(SILENCE)
    await books.steps.charge("k")


async def a_charge_the_payer_must_approve(books: Keeping) -> None:
    books.world.bank.answers(ACS)
    await books.steps.charge("k")


async def a_confirmation(books: Keeping) -> None:
    made = await books.steps.create(card=None, provider="bank")
    books.world.bank.answers(SILENCE)
    await books.steps.confirm(made, card(), key="k")


async def a_refund(books: Keeping) -> None:
    paid = await books.steps.charge()
    books.world.bank.answers(SILENCE)
    await books.steps.refund(paid, "1.00", "k")


async def a_capture(books: Keeping) -> None:
    held = await books.steps.hold()
    books.world.bank.answers(SILENCE)
    await books.steps.capture(held, key="k")


async def a_void(books: Keeping) -> None:
    held = await books.steps.hold()
    books.world.bank.answers(SILENCE)
    await books.steps.void(held, key="k")


async def a_deposit_that_waits(books: Keeping) -> None:
    await books.desk.begin(DEPOSIT, key="k")


async def a_deposit_at_the_bank(books: Keeping) -> None:
    await books.desk.begin(DEPOSIT, key="k")
    await books.desk.work()


async def a_deposit_in_doubt(books: Keeping) -> None:
    books.world.bank.transfers.extend([SILENCE] * 10)
    await _dead_letter(books, "in_doubt")


async def a_deposit_that_failed_and_is_tried_again(books: Keeping) -> None:
    books.world.bank.transfers.extend([NotSent("refused")] * 10)
    await retry_transfer(books.till, await _dead_letter(books, "failed"), ORIGIN)


async def _dead_letter(books: Keeping, status: str) -> str:
    made: str = body(await books.desk.begin(DEPOSIT, key="k"))["id"]
    for _ in range(20):
        await books.age(timedelta(minutes=11))
        await books.desk.work()
        now = await books.desk.now(made)
        if now.dead is not None:
            assert now.status == status
            return made
    raise AssertionError(f"the bank is asked for ever: {now}")


UNSETTLED: list[Case] = [
    a_charge, a_charge_the_payer_must_approve, a_confirmation, a_refund, a_capture, a_void, a_deposit_that_waits,
    a_deposit_at_the_bank, a_deposit_in_doubt, a_deposit_that_failed_and_is_tried_again,
]  # fmt: skip


@pytest.mark.parametrize("unsettled", UNSETTLED)
async def test_the_key_of_what_is_not_settled_stays_however_old(books: Keeping, unsettled: Case) -> None:
    await unsettled(books)
    await books.steps.charge("settled")
    await books.age(400 * DAY)

    assert await books.purge(KEYS) == 1
    assert not (await books.steps.charge("settled")).replayed


async def test_the_key_of_a_transfer_goes_once_it_has_ended(books: Keeping) -> None:
    books.world.bank.transfers.append(Declined("processing_error", "12"))
    await books.desk.begin(DEPOSIT, key="k")
    await books.desk.work()
    await books.age(DAY + 2 * MINUTE)
    assert await books.purge(KEYS) == 1
    assert not (await books.desk.begin(DEPOSIT, key="k")).replayed


async def test_many_in_doubt_do_not_keep_the_others_from_going(books: Keeping) -> None:
    """With batches smaller than they are many."""
    for number in range(5):
        books.world.bank.answers(SILENCE)
        await books.steps.charge(f"doubt-{number}")
        await books.age(timedelta(seconds=1))
    for number in range(3):
        await books.steps.charge(f"settled-{number}")
    await books.age(2 * DAY)
    assert await books.purge(KEYS, limit=2) == 3


# ── callbacks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_that_a_callback_was_heard_is_known_for_a_week(books: Keeping) -> None:
    books.world.bank.answers(ACS)
    paid = id_of(await books.steps.charge("k"))
    said = Callback("evt_1", paid, f"{paid}.authorize.1", Approved("bnk_1", "REF1", "00"))
    await receive_callback(books.till, "bank", said, ORIGIN)
    await books.age(KEPT[CALLBACKS])
    assert await books.purge(CALLBACKS) == 0
    await books.age(2 * MINUTE)
    assert (await books.purge(CALLBACKS), await books.purge(CALLBACKS)) == (1, 0)

    before = await books.till.reads.payment(MERCHANT, paid)
    assert before.status == "captured"
    await receive_callback(books.till, "bank", said, ORIGIN)  # and has no effect even then
    assert await books.till.reads.payment(MERCHANT, paid) == before


async def test_keys_and_callbacks_are_two_kinds(books: Keeping) -> None:
    books.world.bank.answers(ACS)
    paid = id_of(await books.steps.charge("k"))
    said = Callback("evt_1", paid, f"{paid}.authorize.1", Approved("bnk_1", "REF1", "00"))
    await receive_callback(books.till, "bank", said, ORIGIN)
    await books.age(30 * DAY)
    assert [await books.purge(what) for what in (KEYS, KEYS, CALLBACKS)] == [1, 0, 1]


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_event_goes_so_long_after_it_was_published(books: Keeping) -> None:
    await books.steps.charge()
    await books.age(400 * DAY)
    assert await books.purge(EVENTS) == 0

    await books.publish()
    await books.age(DAY)
    assert await books.purge(EVENTS, kept=DAY) == 0
    await books.age(2 * MINUTE)
    assert await books.purge(EVENTS, kept=DAY, limit=2) == 2
    assert (await books.publish(), await books.purge(EVENTS, kept=DAY)) == (None, 0)


async def test_an_event_stays_until_webhooks_are_made_of_it(books: Keeping) -> None:
    await _endpoint(books)
    await books.steps.charge()
    await books.publish()
    await books.age(400 * DAY)
    await books.purge(EVENTS)

    assert await books.till.webhooks.fan_out(100) == 1
    assert len((await books.till.webhooks.deliveries(MERCHANT, ENDPOINT, DeliveryQuery())).items) == 1
    await books.age(400 * DAY)
    await books.purge(EVENTS)
    assert await books.till.webhooks.fan_out(100) == 0


# ── deliveries ────────────────────────────────────────────────────────────────────────────────────────────────────────

ENDPOINT = "we_1"
ALL = [((MERCHANT, ENDPOINT), 100)]


async def _endpoint(books: Keeping) -> None:
    made = replace(endpoint(event_types=("payment.captured",)), id=ENDPOINT)
    await books.till.webhooks.add(made, ORIGIN)


async def _parcels(books: Keeping, number: int) -> list[Parcel]:
    """Claimed for their first try."""
    await _endpoint(books)
    for _ in range(number):
        await books.steps.charge()
    await books.till.webhooks.fan_out(100)
    return await books.till.webhooks.claim(ALL)


async def _left(books: Keeping) -> list[DeliveryStatus]:
    listed = await books.till.webhooks.deliveries(MERCHANT, ENDPOINT, DeliveryQuery())
    return sorted(one.status for one in listed.items)


async def test_a_delivery_goes_with_its_tries_so_long_after_the_last_of_them(books: Keeping) -> None:
    (parcel,) = await _parcels(books, 1)
    await books.till.webhooks.settle([tried(parcel)])
    await books.age(20 * DAY)
    await books.till.webhooks.resend(MERCHANT, parcel.id)
    (again,) = await books.till.webhooks.claim(ALL)
    await books.till.webhooks.settle([tried(again)])

    await books.age(20 * DAY)
    assert await books.purge(DELIVERIES) == 0
    assert len((await books.till.webhooks.delivery(MERCHANT, parcel.id)).tries) == 2

    await books.age(11 * DAY)
    assert await books.purge(DELIVERIES) == 1
    assert await _left(books) == []
    with pytest.raises(NotFound):
        await books.till.webhooks.resend(MERCHANT, parcel.id)


async def test_a_delivery_that_is_not_final_stays_however_old(books: Keeping) -> None:
    claimed, again, delivered, failed = await _parcels(books, 4)
    given_up = replace(tried(failed, DOWN), status=DeliveryStatus.FAILED)
    await books.till.webhooks.settle([tried(again, DOWN), tried(delivered), given_up])
    await books.age(400 * DAY)

    assert await books.purge(DELIVERIES, limit=1) == 2
    assert await _left(books) == ["pending", "pending"]
    assert len(await books.till.webhooks.settle([tried(claimed)])) == 1
