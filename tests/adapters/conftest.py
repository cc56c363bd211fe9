"""Books on the real PostgreSQL of the session, opened for each test, and librdkafka's mock of a Kafka for each file."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from cleartill.ports import SystemClock, Till
from fakes import World
from fakes.kafka import MockKafka
from real import Room, open_room, till_on


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as room:
        yield room


@pytest.fixture
def world() -> World:
    return World(clock=SystemClock())  # type: ignore[arg-type]


@pytest.fixture
def till(room: Room, world: World) -> Till:
    return till_on(room, world)


@pytest.fixture
async def other(database_url: str, world: World) -> AsyncIterator[Till]:
    """Another process over the same books and the same bank."""
    async with open_room(database_url) as room:
        yield till_on(room, world)


@pytest.fixture(scope="module")
def mock() -> Iterator[MockKafka]:
    kafka = MockKafka()
    yield kafka
    kafka.end()


@pytest.fixture
def topic(mock: MockKafka) -> str:
    """A fresh one."""
    name = f"topic-{uuid4().hex}"
    mock.create(name)
    return name


@pytest.fixture(params=[100, pytest.param(1_000, marks=pytest.mark.drill)])
def races(request: pytest.FixtureRequest) -> int:
    """How often a race is run: the thousand takes half a minute."""
    return int(request.param)
