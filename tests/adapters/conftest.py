"""Books on the real PostgreSQL of the session, opened for each test."""

from collections.abc import AsyncIterator

import pytest

from cleartill.ports import SystemClock, Till
from fakes import World
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
