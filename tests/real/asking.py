"""Handing units to the books, and looking at what they wrote."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from cleartill.domain.errors import CleartillError
from cleartill.ports import Unit, Verdict
from real.room import Room, rows


def count(url: str, table: str) -> int:
    """Rows of a table."""
    found: int = rows(url, f"SELECT count(*) FROM {table}")[0][0]
    return found


async def queued(room: Room, *units: Unit) -> list["asyncio.Task[Verdict]"]:
    """The units handed over, in this order, and nobody waited for."""
    tasks = [asyncio.create_task(room.books.record(unit)) for unit in units]
    await asyncio.sleep(0)
    return tasks


async def each(work: Coroutine[Any, Any, Verdict]) -> Verdict | str:
    """The verdict, or what the refusal says."""
    try:
        return await work
    except CleartillError as error:
        return str(error)
