"""Every arrow of the state machine, allowed and forbidden, through the HTTP API."""

from collections.abc import Awaitable, Callable
from copy import deepcopy
from itertools import product
from typing import Any

import httpx
import pytest

from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import ACTION_WITHIN, HOLD_LASTS
from cleartill.domain.states import PAYMENT_STEPS, PaymentStatus
from cleartill.ports import Callback, Unit
from cleartill.usecases.expire import expire
from cleartill.usecases.receive_callback import receive_callback
from cleartill.usecases.resolve import resolve
from fakes import Memory, Scripted, World
from fakes.stages import ACS, ALLOWED, OPERATIONS, Stage, refusal
from fakes.steps import ORIGIN

S = PaymentStatus
YES, NO, SILENCE, UNSENT = Approved("bnk_9"), Declined("do_not_honor", "05"), Unknown("timeout"), NotSent("connect")


@pytest.fixture
def stage(client: httpx.AsyncClient, world: World) -> Stage:
    return Stage(client, world)


# ── every state × every operation ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "operation"), list(ALLOWED))
async def test_an_allowed_step_leads_where_it_is_drawn(stage: Stage, status: PaymentStatus, operation: str) -> None:
    async with stage.payment(status) as payment_id:
        answer = await stage.ask(payment_id, operation)
        assert answer.status_code == (201 if operation == "refund" else 200)
        assert await stage.status(payment_id) == ALLOWED[status, operation]
        if operation != "refund":
            assert answer.json()["status"] == ALLOWED[status, operation]


def everything(memory: Memory) -> list[Any]:
    return deepcopy([vars(memory)[name] for name in vars(memory) if name != "api_keys"])


@pytest.mark.parametrize(("status", "operation"), [pair for pair in product(S, OPERATIONS) if pair not in ALLOWED])
async def test_a_forbidden_step_is_refused_by_name_and_changes_nothing(
    stage: Stage, world: World, status: PaymentStatus, operation: str
) -> None:
    code, detail = refusal(operation, status)
    async with stage.payment(status) as payment_id:
        before, asked = everything(world.memory), len(world.bank.asked)
        for headers in ({}, {"Idempotency-Key": "k"}):
            path = f"/api/v1/payments/{payment_id}/{operation}"
            answer = await stage.client.post(path, headers=headers)

            assert (answer.status_code, answer.json()["code"]) == (409, code)
            assert answer.json()["detail"].startswith(detail)
            assert answer.headers.get("retry-after") == ("5" if status is S.IN_DOUBT else None)
            assert answer.json()["retryable"] is (status is S.IN_DOUBT)
        assert (everything(world.memory), len(world.bank.asked)) == (before, asked)


@pytest.mark.parametrize(
    ("status", "operation"), [(S.AUTHORIZED, "capture"), (S.CAPTURED, "refund"), (S.PARTIALLY_REFUNDED, "refund")]
)
async def test_more_than_is_left_is_refused_with_what_is_left(
    stage: Stage, world: World, status: PaymentStatus, operation: str
) -> None:
    async with stage.payment(status) as payment_id:
        before = everything(world.memory)
        answer = await stage.ask(payment_id, operation, amount="100.00")
        left = "98.99 USD" if status is S.PARTIALLY_REFUNDED else "99.99 USD"
        assert (answer.status_code, answer.json()["code"]) == (409, "amount_too_large")
        assert answer.json()["detail"] == f"Cannot {operation} more than is left: {left}"
        assert everything(world.memory) == before


# ── every arrow ───────────────────────────────────────────────────────────────────────────────────────────────────────

Walk = Callable[[Stage], Awaitable[Any]]


async def hear(stage: Stage, outcome: Approved | Declined) -> None:
    attempt = list(stage.world.memory.attempts.values())[-1]
    callback = Callback("evt_1", attempt.payment_id, attempt.key, outcome)
    await receive_callback(stage.world.till, attempt.provider, callback, ORIGIN)


def confirmed(*said: Outcome | Scripted, after: str = "", capture: str = "automatic") -> Walk:
    """Create and confirm, the bank saying this; then a callback, or the resolver at its time."""

    async def walk(stage: Stage) -> None:
        payment_id = await stage.make(capture_method=capture)
        stage.world.bank.answers(*said)
        await stage.ask(payment_id, "confirm")
        match after:
            case "yes":
                await hear(stage, YES)
            case "no":
                await hear(stage, NO)
            case "resolve":
                stage.world.clock.advance(ACTION_WITHIN.total_seconds())
                await resolve(stage.world.till)

    return walk


def on_hold(operation: str, said: Outcome | Scripted, *, resolved: bool = False) -> Walk:
    """A hold, and what is asked about it, the bank saying this; then the resolver at its time."""

    async def walk(stage: Stage) -> None:
        payment_id = await stage.hold()
        stage.world.bank.answers(said)
        if operation == "expire":
            stage.world.clock.advance(HOLD_LASTS.total_seconds())
            await expire(stage.world.till)
        else:
            await stage.ask(payment_id, operation)
        if resolved:
            stage.world.clock.advance(2)
            await resolve(stage.world.till)

    return walk


def refunded(*amounts: str) -> Walk:
    async def walk(stage: Stage) -> None:
        payment_id = await stage.make(confirm=True)
        for amount in amounts:
            assert (await stage.ask(payment_id, "refund", amount=amount)).status_code == 201

    return walk


async def given_up(stage: Stage) -> None:
    await stage.ask(await stage.make(), "fail")


WALKS: dict[tuple[PaymentStatus, PaymentStatus], Walk] = {
    (S.PENDING, S.PROCESSING): confirmed(YES),
    (S.PENDING, S.FAILED): given_up,
    (S.PROCESSING, S.PENDING): confirmed(UNSENT),
    (S.PROCESSING, S.AUTHORIZED): confirmed(YES, capture="manual"),
    (S.PROCESSING, S.CAPTURED): confirmed(YES),
    (S.PROCESSING, S.FAILED): confirmed(NO),
    (S.PROCESSING, S.VOIDED): on_hold("void", YES),
    (S.PROCESSING, S.EXPIRED): on_hold("expire", YES),
    (S.PROCESSING, S.REQUIRES_ACTION): confirmed(ACS),
    (S.PROCESSING, S.IN_DOUBT): confirmed(SILENCE),
    (S.REQUIRES_ACTION, S.CAPTURED): confirmed(ACS, after="yes"),
    (S.REQUIRES_ACTION, S.AUTHORIZED): confirmed(ACS, after="yes", capture="manual"),
    (S.REQUIRES_ACTION, S.FAILED): confirmed(ACS, after="no"),
    (S.REQUIRES_ACTION, S.EXPIRED): confirmed(Scripted(ACS), after="resolve"),
    (S.AUTHORIZED, S.PROCESSING): on_hold("capture", YES),
    (S.CAPTURED, S.PARTIALLY_REFUNDED): refunded("1.00"),
    (S.CAPTURED, S.REFUNDED): refunded("99.99"),
    (S.PARTIALLY_REFUNDED, S.PARTIALLY_REFUNDED): refunded("1.00", "1.00"),
    (S.PARTIALLY_REFUNDED, S.REFUNDED): refunded("1.00", "98.99"),
    (S.IN_DOUBT, S.CAPTURED): confirmed(Scripted(SILENCE, YES), after="resolve"),
    (S.IN_DOUBT, S.AUTHORIZED): on_hold("capture", Scripted(SILENCE, NO), resolved=True),
    (S.IN_DOUBT, S.FAILED): confirmed(SILENCE, after="resolve"),
    (S.IN_DOUBT, S.VOIDED): on_hold("void", Scripted(SILENCE, YES), resolved=True),
    (S.IN_DOUBT, S.EXPIRED): on_hold("expire", Scripted(SILENCE, YES), resolved=True),
    (S.IN_DOUBT, S.REQUIRES_ACTION): confirmed(Scripted(SILENCE, ACS), after="resolve"),
}

NOT_WALKED = {
    (S.REQUIRES_ACTION, S.PROCESSING): "it passes there on its way to captured or authorized, in one unit",
}
DRAWN = {(was, to) for was, after in PAYMENT_STEPS.items() for to in after}
THROUGH_PROCESSING = {(S.REQUIRES_ACTION, S.CAPTURED), (S.REQUIRES_ACTION, S.AUTHORIZED)}


def test_every_drawn_arrow_is_walked_and_no_other() -> None:
    assert set(WALKS) - THROUGH_PROCESSING == DRAWN - set(NOT_WALKED)


@pytest.mark.parametrize("arrow", list(WALKS))
async def test_the_arrow_is_walked(stage: Stage, world: World, arrow: tuple[PaymentStatus, PaymentStatus]) -> None:
    walked: list[tuple[PaymentStatus, PaymentStatus]] = []

    def look(unit: Unit) -> None:
        stored = world.memory.payments.get((unit.payment.merchant_id, unit.payment.id))
        if stored and (unit.facts or stored.status is not unit.payment.status):
            walked.append((stored.status, unit.payment.status))

    world.books.before_record = look
    await WALKS[arrow](stage)

    assert arrow in walked
    stays = {(status, status) for status in S}
    assert set(walked) - stays - THROUGH_PROCESSING <= DRAWN
