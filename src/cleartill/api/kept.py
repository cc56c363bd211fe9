"""Answers that are dear to make, kept for a moment: however many ask, each is made once at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from cleartill.ports import Clock

KEPT_TIMES, KEPT_MOST_S = 20.0, 60.0
"""An answer is good for twenty times the time that it took: so one question, repeated for ever, keeps one connection
busy for a twentieth of the time, and a cheap answer is as good as fresh."""
KEPT_MAX = 500
"""Answers that are kept at once."""

Answer = dict[str, Any]


@dataclass(slots=True)
class Kept:
    """By question: until when (monotonic seconds) its answer is good, and the answer, which may be under way."""

    answers: OrderedDict[Hashable, tuple[float, asyncio.Future[Answer]]] = field(default_factory=OrderedDict)

    async def get(self, clock: Clock, question: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of a moment ago, the one that is being made, or a new one. Raises what `make` raises; a failure
        is not kept. Who stops waiting stops nothing."""
        good_until, answer = self.answers.get(question, (0.0, None))
        if answer is None or (answer.done() and (good_until <= clock.monotonic() or answer.exception())):
            answer = asyncio.ensure_future(self._make(clock, question, make))
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to hear it
            self.answers[question] = (0.0, answer)
            while len(self.answers) > KEPT_MAX:
                self.answers.popitem(last=False)
        return await asyncio.shield(answer)

    async def _make(self, clock: Clock, question: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        began = clock.monotonic()
        made = await make()
        ended = clock.monotonic()
        if question in self.answers:
            good_until = ended + min(KEPT_MOST_S, KEPT_TIMES * (ended - began))
            self.answers[question] = (good_until, self.answers[question][1])
        return made
