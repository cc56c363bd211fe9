"""How long PostgreSQL keeps the plans of the writer's prepared statements."""

import time

KEPT_UNITS = 64
KEPT_S = 10.0


class Plans:
    """To plan a batch costs more than to carry it out, and one made while the tables were small goes through the whole
    of an index: kept for ever, 512 payments/s fell to 232 while they grew. So plans are made anew (8 ms) when the
    tables may have outgrown them: after `KEPT_UNITS` units and a quarter of all that were written here, or after
    `KEPT_S`, since others write too.
    """

    def __init__(self) -> None:
        self._written = 0
        self._outgrown_at = 0
        self._made_at = 0.0

    def outgrown(self, units: int) -> bool:
        """Before a batch of so many units: the plans may no longer fit, and are to be discarded."""
        now = time.monotonic()
        outgrown = self._written >= self._outgrown_at or self._made_at < now - KEPT_S
        if outgrown:
            self._made_at = now
            self._outgrown_at = self._written + max(KEPT_UNITS, self._written // 4)
        self._written += units
        return outgrown
