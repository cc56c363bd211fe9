"""A unit that waits to be written, and whoever waits for its verdict."""

import asyncio
from dataclasses import dataclass, field

from cleartill.ports import Unit, Verdict


@dataclass(slots=True, eq=False)
class Waiting:
    unit: Unit
    future: "asyncio.Future[Verdict]"
    give_up: float
    """Monotonic seconds."""
    keys: tuple[tuple[str, ...], ...] = field(init=False)
    unsure: bool = False
    """A commit that may have held this unit was not acknowledged."""

    def given_up(self, now: float) -> bool:
        """Its patience has ended. Never that of an intent which may be on disk: its caller would hear "nothing was
        sent", and the resolver would find the attempt and send it."""
        return self.give_up < now and not (self.unsure and self.unit.is_intent)

    def __post_init__(self) -> None:
        unit = self.unit
        keys: list[tuple[str, ...]] = [(unit.payment.merchant_id, unit.payment.id)]
        if unit.claim:
            keys.append((unit.claim.merchant_id, unit.claim.scope, unit.claim.key))
        self.keys = tuple(keys)


Done = list[tuple[Waiting, Verdict | Exception]]


def tell(done: Done) -> None:
    for waiting, verdict in done:
        if waiting.future.done():
            continue
        if isinstance(verdict, Exception):
            waiting.future.set_exception(verdict)
        else:
            waiting.future.set_result(verdict)
