"""Books on the real PostgreSQL of the session, opened for each test."""

from collections.abc import AsyncIterator

import pytest

from real import Room, open_room


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as room:
        yield room
