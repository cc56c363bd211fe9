"""The app on fakes, and a client that knows the demo key."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from cleartill.api.app import create_app
from cleartill.domain.merchant import DEMO_API_KEY
from fakes import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def app(world: World) -> FastAPI:
    return create_app(world.till, environment="test", version="0.1.0", drain_s=0.05)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """With the demo merchant's key."""
    headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://till.example", headers=headers) as client:
        yield client
