"""Deliver webhooks: what is due goes out, each endpoint in a lane of its own, and nobody waits for anybody else's.

A process has IN_FLIGHT places for tries. A lane begins START wide and grows with every try that is answered well and
soon, up to WIDEST; one that is answered late has START, one that fails a single place. All lanes that are late or fail
have half of the places together: a thousand dead receivers, each of which holds its place until its time is up, leave
the other half to those that answer.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from cleartill.domain.errors import CleartillError
from cleartill.domain.webhook import Heard, after
from cleartill.ports import Lane, Letter, Origin, Parcel, Place, Till, Tried

IN_FLIGHT = 512
START, WIDEST = 8, 64
LATE_MS = 1_000.0
IN_TIME_S = 60.0
"""From a delivery's making to its first try, as promised."""
LANES = 500
"""Endpoints looked at in one round; the next one goes on behind them."""
KNOWN_MAX = 10_000
"""Lanes remembered; then all are learnt anew."""
PATIENCE_S = 0.1
"""How long a round waits for a try to end, when there is nothing else to do."""
GATHER_S = 0.005
"""And for others to end together with it: they are written down in one transaction."""


class UnderWay:
    """What one process has in its hands: tries that run, what came of those that have ended, how wide lanes are."""

    def __init__(self) -> None:
        self.tasks: dict[asyncio.Task[Tried], Place] = {}
        self.ended: list[Tried] = []
        self.beyond: Place = ("", "")
        self.widths: dict[Place, int] = {}
        self.troubled: set[Place] = set()
        """Lanes whose last try failed, or was answered late."""

    def gather(self) -> None:
        """Take in what has ended. Raises what a try raised, which is a mistake of ours: its claim will lapse."""
        for task in [task for task in self.tasks if task.done()]:
            place = self.tasks.pop(task)
            tried = task.result()
            self.ended.append(tried)
            self._learn(place, tried.heard)

    def _learn(self, place: Place, heard: Heard) -> None:
        if len(self.widths) >= KNOWN_MAX:
            self.widths.clear()
            self.troubled.clear()
        if heard.ok and heard.latency_ms < LATE_MS:
            self.widths[place] = min(WIDEST, self.widths.get(place, START) + 1)
            self.troubled.discard(place)
        else:
            self.widths[place] = START if heard.ok else 1
            self.troubled.add(place)

    def shares(self, lanes: Sequence[Lane]) -> list[tuple[Place, int]]:
        """How many more tries each of these lanes may have now; those in trouble come last."""
        taken = Counter(self.tasks.values())
        places = IN_FLIGHT - len(self.tasks)
        for_troubled = IN_FLIGHT // 2 - sum(number for place, number in taken.items() if place in self.troubled)
        shares = []
        for lane in sorted((lane for lane in lanes if lane.due), key=self._in_trouble):
            width = self.widths.get(lane.place, 1 if lane.failing else START)
            room = min(places, width - taken[lane.place])
            if self._in_trouble(lane):
                room = min(room, for_troubled)
                for_troubled -= max(0, room)
            if room > 0:
                shares.append((lane.place, room))
                places -= room
        return shares

    def _in_trouble(self, lane: Lane) -> bool:
        return lane.place in self.troubled or (lane.failing and lane.place not in self.widths)

    async def finish(self, till: Till) -> None:
        """Wait for what runs, and write down what came of it. Nothing new is begun."""
        if self.tasks:
            await asyncio.wait(self.tasks)
        self.gather()
        await _settle(till, self)


async def deliver_webhook(till: Till, owner: str, under_way: UnderWay) -> int:
    """One round: write down what has ended, claim what is due, send it off; how much of all that there was. It does not
    wait for what it sends off: a later round, of the same `under_way`, hears of it."""
    under_way.gather()
    settled = await _settle(till, under_way)
    lanes = await till.webhooks.lanes(under_way.beyond, LANES) if len(under_way.tasks) < IN_FLIGHT else []
    under_way.beyond = lanes[-1].place if len(lanes) == LANES else ("", "")
    shares = under_way.shares(lanes)
    parcels = await till.webhooks.claim(shares) if shares else []
    for parcel in parcels:
        under_way.tasks[asyncio.create_task(_deliver(till, parcel))] = parcel.place
    if under_way.tasks:
        ended, _ = await asyncio.wait(under_way.tasks, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if ended:
            await asyncio.sleep(GATHER_S)
    return settled + len(parcels) + len(under_way.tasks)


async def _deliver(till: Till, parcel: Parcel) -> Tried:
    with till.flights.background("webhook.deliver", _origin(parcel)) as here:
        at = till.clock.now()
        heard = await _send(till, parcel, here, at)
    status, again_in_s = after(heard, parcel.tries + 1, parcel.type)
    return Tried(parcel, heard, at, status, again_in_s, here)


async def _send(till: Till, parcel: Parcel, here: Origin, at: datetime) -> Heard:
    owner = (parcel.merchant_id, parcel.endpoint_id)
    try:
        secrets = [till.vault.open_secret(sealed, *owner) for sealed in parcel.secrets]
    except CleartillError:  # the vault's: a key is missing from the ring, and may come back
        return Heard(None, "secret", 0.0)
    return await till.courier.send(Letter(parcel.url, parcel.event_id, parcel.body, secrets, here.traceparent, at))


def _origin(parcel: Parcel) -> Origin | None:
    """The work that caused the event, as its traceparent tells."""
    parts = (parcel.traceparent or "").split("-")
    if len(parts) != 4:
        return None
    return Origin("deliver_webhook", "", parts[1], parts[2], keep=parts[3] == "01")


async def _settle(till: Till, under_way: UnderWay) -> int:
    """Raises BooksUnavailable: then it is kept for the next round."""
    if not under_way.ended:
        return 0
    settled = await till.webhooks.settle(under_way.ended)
    under_way.ended = []
    for tried, disabled in settled:
        if tried.heard.ok:
            till.watch.count("webhook.delivered")
        else:
            till.watch.count("webhook.failed", reason=tried.heard.error or "status")
        if tried.parcel.tries == 0:
            waited_s = tried.parcel.waited_s
            till.watch.observe("webhook.first_try", waited_s * 1000)
            till.watch.count("webhook.first", in_time="yes" if waited_s <= IN_TIME_S else "no")
        if disabled is not None:
            till.watch.count("webhook.disabled", reason=str(disabled))
    return len(settled)
