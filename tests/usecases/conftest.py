"""A world of fakes, and money operations as the API would begin them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cleartill.domain.idempotency import Answer
from fakes import World
from fakes.steps import Steps

Call = Callable[..., Awaitable[Answer]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def steps(world: World) -> Steps:
    return Steps(world.till)


@pytest.fixture
def pay(steps: Steps) -> Call:
    """Charge the demo merchant's payer; keywords change the order."""

    async def pay(idempotency_key: str | None = None, **changes: Any) -> Answer:
        return await steps.charge(idempotency_key, **changes)

    return pay


@pytest.fixture
def give_back(steps: Steps) -> Call:
    """Refund a payment, by its id or its answer."""
    return steps.refund
