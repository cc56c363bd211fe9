"""What providers have in common that are asked in one step, in the minor units of ISO 4217."""

from datetime import datetime

from cleartill.domain.outcome import NotSent, Outcome, Unknown
from cleartill.ports import Authorization, StatementPage


class Direct:
    """Nothing has to be prepared, and any amount can be moved."""

    prepares = False

    def takes(self, amount_minor: int, currency: str) -> bool:
        return True

    async def prepare(self, ask: Authorization) -> str | Outcome:
        """Never called, since `prepares` says no."""
        raise NotImplementedError

    async def statement(self, since: datetime | str) -> StatementPage | Unknown | NotSent | None:
        """It keeps no book of its own."""
        return None
