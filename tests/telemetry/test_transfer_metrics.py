"""What is counted of transfers, and only once it is on disk."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.outcome import Approved, Unknown
from cleartill.domain.transfer import Transfer, TransferKind
from cleartill.ports import Fate, Origin, Turn
from cleartill.telemetry.catalog import METRICS, SPANS

ORIGIN = Origin("key_1", "req_1", "1" * 32, "2" * 16)
AT = datetime(2026, 1, 15, 12, tzinfo=UTC)


def made() -> Transfer:
    return Transfer.of("m_1", TransferKind.DEPOSIT, 700, "USD", "bank", AT, "1" * 32)


async def under_way(stage: Any) -> Transfer:
    transfer = made()
    await stage.till.transfers.record(Turn(transfer, 0, ORIGIN, [transfer.created()], again_in_s=0.0))
    transfer.begin(AT)
    return transfer


def counted(stage: Any, name: str) -> list[Any]:
    found: list[Any] = stage.heard.tags_of(name)
    return found


async def test_outcomes_and_retries_are_counted(stage: Any) -> None:
    transfer = await under_way(stage)
    transfer.fault("timeout", AT)
    await stage.till.transfers.record(Turn(transfer, 1, ORIGIN, again_in_s=1.0))
    facts = transfer.end(Approved("bnk_1"), AT)
    with stage.deck.background("transfer.execute"):
        assert await stage.till.transfers.record(Turn(transfer, 2, ORIGIN, facts)) is Fate.RECORDED
    assert len(counted(stage, "transfer.retried")) == 1
    assert len(counted(stage, "transfer.count")) == 1
    assert [type for type, _ in stage.facts] == ["deposit.created", "deposit.succeeded"]
    (flight,) = stage.landed
    assert (flight.name, flight.about["status"], [hop.name for hop in flight.hops]) == (
        "transfer.execute",
        "succeeded",
        ["books.record"],
    )


async def test_what_is_not_on_disk_is_not_counted(stage: Any) -> None:
    transfer = await under_way(stage)
    facts = transfer.end(Approved("bnk_1"), AT)
    assert await stage.till.transfers.record(Turn(transfer, 7, ORIGIN, facts)) is Fate.CONFLICT
    assert counted(stage, "transfer.count") == []


async def test_a_dead_letter_is_kept_whole(stage: Any) -> None:
    transfer = await under_way(stage)
    for _ in range(6):
        facts = transfer.fault(Unknown("timeout").reason, AT)
    with stage.deck.background("transfer.execute"):
        await stage.till.transfers.record(Turn(transfer, 1, ORIGIN, facts))
    assert stage.landed[-1].deserving


@pytest.mark.parametrize("name", ["transfer.pending", "transfer.dead", "transfer.retried", "transfer.count"])
def test_they_are_declared(name: str) -> None:
    assert name in METRICS
    assert "transfer.execute" in SPANS


async def test_books_that_are_away(stage: Any) -> None:
    stage.till.transfers._transfers.away = True
    with pytest.raises(BooksUnavailable):
        await under_way(stage)
    assert stage.facts == []
