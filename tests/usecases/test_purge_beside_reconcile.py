"""A key that is purged while a reconciliation runs, having come of age meanwhile, is not lost."""

from datetime import timedelta

import pytest

from cleartill.domain.key_invariants import KEYS_KEPT, Claimed
from cleartill.domain.reconciliation import Operation
from cleartill.ports import Own
from cleartill.usecases.reconcile import reconcile
from fakes import World


@pytest.mark.parametrize(("took_s", "found"), [(0.0, {"claim_lost": 1}), (599.0, {"claim_lost": 1}), (600.0, {})])
async def test_a_key_that_came_of_age_during_the_run(world: World, took_s: float, found: dict[str, int]) -> None:
    ended = world.clock.now() - KEYS_KEPT + timedelta(seconds=600)
    ours = Operation(
        "merchant_123", "pay_1.authorize.1", "pay_1", "authorize", "approved", 100, "USD", ended, settled_at=ended
    )
    world.audits.pages["operations"] = [[Own(ours, False, Claimed(ours, None, None, ended))]]

    def looked(what: str, count: int) -> None:
        if what == "statement lines":
            world.clock.advance(took_s)

    report = await reconcile(world.till, "me", progress=looked)

    assert report is not None
    assert {str(kind): number for kind, number in report.found.items()} == found
