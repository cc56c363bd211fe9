"""Who is let in: more than can be served in useful time is refused at the door, for next to nothing.

A request is in our hands from its last byte to the first of its answer, but for the time in which a provider is asked;
so whoever sends or reads slowly takes nobody's place. Little's law says how long the last of them waits: as many as
there are in hand, by as many as are answered a second. As many are let in as are answered in TARGET_S.

Decisions.
- FEW are always let in, and MOST until a queue has stayed for STANDS_S: a burst, or a database that stops for a quarter
  of a second, costs a moment's waiting and no refusal. (MOST was 256: until the queue had stayed, whoever was refused,
  and health checks, waited half a second for the loop to come round.)
- A slow database is no reason to ask less of it at once, since whatever waits is written together; but beyond TARGET_S
  it is taken for one, down to FEW. Nor is a slow bank: who waits for it is counted by its bulkhead, not here.
- Refused is who comes last, before his body is read: never one who was let in, whose intent may be committed by then.
  `/health` is always let in: an overloaded process is alive.
- A refusal takes a thirtieth of a payment's time, and is counted once a second, without a line of log of its own.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from cleartill.domain.errors import Unavailable
from cleartill.ports import NoWatch, Watch

FEW, MOST = 64, 128
TARGET_S = 0.1
LOOK_S = 0.25
"""How long it is counted before the counts are looked at."""
STANDS_S = 2.0
"""How long more than FEW must be in hand all the time to be a queue that stays."""
AGAIN_MAX_S = 10
TELL_S = 1.0

log = logging.getLogger("cleartill.api")


class Overloaded(Unavailable):
    code = "overloaded"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("More is asked than can be served now; nothing was sent")
        self.retry_after_s = retry_after_s


LET_IN, COUNTED, UNCOUNTED = "let in", "counted", "uncounted"
"""What a scope says of its request: its body is still to come; it is in hand; it is not, or no longer."""


@dataclass(slots=True)
class Admission:
    """One per process, on its event loop. Times are monotonic seconds. `asking`: how many questions to providers are
    under way."""

    asking: Callable[[], int] = lambda: 0
    watch: Watch = field(default_factory=NoWatch)
    entered: int = 0
    """Who was let in and is not answered."""
    untold: int = 0
    """How many `protocol` has refused since it was last told."""
    retry_after_s: int = 1
    """As many seconds as there were callers for each who was answered: so they come back over as long a time."""
    _rate: float = 0.0
    _calm_at: float = 0.0
    _looked_at: float = 0.0
    _peak: int = 0
    _answered: int = 0
    _turned_away: int = 0

    @staticmethod
    def minds(path: str) -> bool:
        return not path.startswith("/health")

    def admits(self, now: float) -> bool:
        """Whether one more may come in. If so, `enter` follows before the next is asked about."""
        if now - self._looked_at >= LOOK_S:
            self._look(now)
        in_hand = self.entered - self.asking()
        if in_hand > self._peak:
            self._peak = in_hand
        stays = now - self._calm_at > STANDS_S
        if in_hand < FEW or in_hand < (min(MOST, self._rate * TARGET_S) if stays else MOST):
            return True
        self._turned_away += 1
        return False

    def enter(self) -> None:
        self.entered += 1

    def leave(self) -> None:
        """One was answered."""
        self.entered -= 1
        self._answered += 1

    def _look(self, now: float) -> None:
        if self._peak < FEW or now - self._looked_at > STANDS_S:
            self._calm_at = now
        self._rate = self._answered / (now - self._looked_at)
        self.retry_after_s = min(AGAIN_MAX_S, 1 + self._turned_away // max(1, self._answered))
        self._answered = self._turned_away = self._peak = 0
        self._looked_at = now

    def tell(self) -> None:
        """Say how many `protocol` has refused since the last time; of the others each has a record of its own."""
        refused, self.untold = self.untold, 0
        self.watch.count("http.shed", refused)
        self.watch.count("http.request", refused, route="shed", status="503")
        log.warning("overloaded: %d requests were refused; %d are in hand", refused, self.entered - self.asking())
