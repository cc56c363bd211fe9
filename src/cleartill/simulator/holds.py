"""What is left of an approved authorization, and what of it may still be captured, voided or refunded."""

from dataclasses import dataclass

from cleartill.simulator.cards import APPROVED
from cleartill.simulator.orders import Kind

INVALID_TRANSACTION = "12"
INVALID_AMOUNT = "13"
NO_SUCH_RECORD = "25"


@dataclass(slots=True)
class Hold:
    """What is left of an approved authorization, in minor units of its currency."""

    currency: str
    authorized: int
    captured: int = 0
    refunded: int = 0
    voided: bool = False

    def judge(self, kind: Kind, amount_minor: int, currency: str) -> str:
        """The response code of a capture, void or refund: captured ≤ authorized, refunded ≤ captured."""
        if currency != self.currency:
            return INVALID_TRANSACTION
        if kind is Kind.VOID:
            return INVALID_TRANSACTION if self.voided or self.captured else APPROVED
        if kind is Kind.CAPTURE:
            if self.voided:
                return INVALID_TRANSACTION
            return APPROVED if self.captured + amount_minor <= self.authorized else INVALID_AMOUNT
        return APPROVED if self.refunded + amount_minor <= self.captured else INVALID_AMOUNT

    def move(self, kind: Kind, amount_minor: int) -> None:
        """Take what was approved into account."""
        if kind is Kind.CAPTURE:
            self.captured += amount_minor
        elif kind is Kind.REFUND:
            self.refunded += amount_minor
        else:
            self.voided = True
