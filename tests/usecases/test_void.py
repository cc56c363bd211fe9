"""Voiding: the hold is gone, and no money has moved."""

import asyncio

from cleartill.domain.outcome import Declined
from fakes import World
from fakes.steps import Steps, body


async def test_a_void_moves_no_money(world: World, steps: Steps) -> None:
    gone = body(await steps.void(await steps.hold()))

    assert (gone["status"], gone["amount_captured"], gone["expires_at"]) == ("voided", 0, None)
    assert world.memory.journals == []
    assert [(fact.type, fact.seq) for fact, _ in world.memory.facts] == [
        ("payment.created", 1),
        ("payment.authorized", 2),
        ("payment.voided", 3),
    ]


async def test_every_try_has_a_key_of_its_own(world: World, steps: Steps) -> None:
    """A provider repeats its answer to a key: the second void must not be told the no of the first."""
    held = await steps.hold()
    world.bank.answers(Declined("processing_error"))
    await steps.void(held)
    assert body(await steps.void(held))["status"] == "voided"
    assert len({ask.attempt_key for _, ask in world.bank.asked}) == 3


async def test_of_a_capture_and_a_void_one_asks(world: World, steps: Steps) -> None:
    held = await steps.hold()
    results = await asyncio.gather(steps.capture(held), steps.void(held), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["Answer", "ForbiddenStep"]
    assert len(world.bank.asked) == 2
