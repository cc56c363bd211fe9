"""The timeline on the real rows: each fact tells what it was about, and why."""

from cleartill.domain.outcome import Declined
from cleartill.ports import Till
from fakes import World
from real import MERCHANT
from real.orders import back, id_of, pay


async def test_a_failure_says_why(till: Till, world: World) -> None:
    world.bank.answers(Declined("do_not_honor", "05"))
    payment_id = id_of(await pay(till))

    steps = await till.reads.timeline(MERCHANT, payment_id)

    (failed,) = (step for step in steps if (step.name, step.outcome) == ("payment.failed", "recorded"))
    assert failed.details["id"] == payment_id
    assert failed.details["status"] == "failed"
    assert failed.details["decline"]["code"] == "do_not_honor"
    assert failed.details["decline"]["network_code"] == "05"


async def test_a_refunds_facts_name_the_refund(till: Till) -> None:
    payment_id = id_of(await pay(till))
    refund_id = id_of(await back(till, payment_id, "3.00"))

    told = {
        step.name: step.details
        for step in await till.reads.timeline(MERCHANT, payment_id)
        if step.outcome == "recorded" and step.name.startswith("refund.")
    }

    assert told.keys() == {"refund.created", "refund.succeeded"}
    assert {(details["id"], details["amount_minor"]) for details in told.values()} == {(refund_id, 300)}
