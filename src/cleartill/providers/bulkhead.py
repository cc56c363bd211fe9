"""A bounded number of calls to one provider at once, and a queue that is only as long as it is useful.

Waiting for a place is short and in order; who would wait in vain, by the mean stay, is refused at once.
"""

import asyncio


class Bulkhead:
    """The places before one provider, in this process."""

    def __init__(self, places: int) -> None:
        self.taken = 0
        self.asking = 0
        """Of those with a place, who waits for the provider just now."""
        self._places = places
        self._free = asyncio.Semaphore(places)
        self._waiting, self._mean_s = 0, 0.0

    async def enter(self, wait_s: float) -> bool:
        """Take a place within `wait_s` seconds; whether there was one."""
        if self._free.locked():
            # Little's law: places / mean length of stay are given back per second.
            in_vain = (self._waiting + 1) * self._mean_s > wait_s * self._places
            if in_vain or self._waiting >= self._places or not await self._queue(wait_s):
                return False
        else:
            await self._free.acquire()
        self.taken += 1
        return True

    async def _queue(self, wait_s: float) -> bool:
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                return await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def leave(self, stay_s: float) -> None:
        """Give back a place that was held for `stay_s` seconds."""
        self._mean_s += (stay_s - self._mean_s) / 8
        self.taken -= 1
        self._free.release()
