"""What contract suites run on: the fake and the real thing."""

from collections.abc import AsyncIterator

import pytest

from real.house import House, fake_house, postgres_house


@pytest.fixture(params=["fake", "postgres"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    opened = fake_house() if request.param == "fake" else postgres_house(request.getfixturevalue("database_url"))
    async with opened as house:
        yield house
