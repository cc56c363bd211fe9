"""Events go out after their commit, and count as gone after the broker has said so."""

import asyncio
from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable, ProviderUnavailable
from cleartill.domain.outcome import NotSent, Unknown
from cleartill.ports import Unit
from cleartill.usecases.publish_outbox import publish_outbox
from fakes import World
from fakes.steps import Steps


def published(world: World) -> list[tuple[str, int]]:
    return sorted((row.subject_id, row.seq) for row in world.publisher.rows)


def recorded(world: World) -> list[tuple[str, int]]:
    return sorted((fact.subject_id, fact.seq) for fact, _ in world.memory.facts)


async def test_what_was_not_recorded_is_told_to_nobody(world: World, steps: Steps) -> None:
    """A key taken by another, books that are away, a race that is lost: then the event would be of nothing."""

    def away(_: Unit) -> None:
        raise BooksUnavailable("away")

    paid = await steps.charge("k")
    await asyncio.gather(*(steps.charge("k") for _ in range(4)), return_exceptions=True)
    await asyncio.gather(*(steps.refund(paid, "60.00") for _ in range(4)), return_exceptions=True)
    world.books.before_record = away
    with pytest.raises(BooksUnavailable):
        await steps.charge()
    world.books.before_record = None

    assert published(world) == [], "only the outbox, which is written with the facts, is published"
    await publish_outbox(world.till, "worker")
    assert published(world) == recorded(world)


@pytest.mark.parametrize("said", [NotSent("connect"), Unknown("timeout")], ids=["not sent", "doubt"])
async def test_every_fact_is_told_whatever_the_provider_said(world: World, pay: Any, said: Any) -> None:
    world.bank.answers(said)
    try:
        await pay()
    except ProviderUnavailable:
        assert isinstance(said, NotSent)
    await publish_outbox(world.till, "worker")
    assert published(world) == recorded(world) != []


async def test_what_the_broker_did_not_confirm_is_published_again(world: World, pay: Any) -> None:
    await pay()
    world.publisher.away = True
    assert await publish_outbox(world.till, "worker") == 0
    assert world.memory.published == {}

    world.publisher.away = False
    assert await publish_outbox(world.till, "worker") == 2
    assert await publish_outbox(world.till, "worker") == 0


async def test_killed_between_the_broker_and_the_mark_it_is_published_again(world: World, pay: Any) -> None:
    """At least once: never marked and then lost."""
    await pay()
    mark, world.backlog.mark_published = world.backlog.mark_published, None  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError):
        await publish_outbox(world.till, "worker")
    world.backlog.mark_published = mark  # type: ignore[method-assign]

    assert await publish_outbox(world.till, "worker") == 2
    assert len(published(world)) == 4
    assert set(published(world)) == set(recorded(world))


async def test_killed_before_the_broker_has_it_it_is_published_again(world: World, pay: Any) -> None:
    await pay()
    publish, world.publisher.publish = world.publisher.publish, None  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError):
        await publish_outbox(world.till, "worker")
    world.publisher.publish = publish  # type: ignore[method-assign]

    assert await publish_outbox(world.till, "worker") == 2
    assert published(world) == recorded(world)
