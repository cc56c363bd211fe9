"""The one table of test cards: README, MockServer's expectations, simulator and tests are made from it."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """A way in which the bank fails to give a clear answer. `acts` tells what is true afterwards."""

    ERROR_500 = "error500"
    RESET = "reset"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    MALFORMED = "malformed"
    SLOW = "slow"

    @property
    def acts(self) -> bool:
        """True if the bank did what was asked, although the caller cannot know it from the answer."""
        return self not in (Fault.ERROR_500, Fault.TIMEOUT_BEFORE)


@dataclass(frozen=True, slots=True)
class TestCard:
    """What the bank does when it is asked for an authorization with this number.

    `response_code` is ISO 8583 field 39, with the card schemes' extensions (N7, 1A). `avs` and `cvc` are the
    one-letter results of the address and the card-code check. `decline` is the code our callers
    see, None if approved; of a card that is challenged: if the payer refuses.
    """

    __test__ = False  # pytest: not a test class

    number: str
    name: str
    response_code: str = "00"
    avs: str = "Y"
    cvc: str = "M"
    decline: str | None = None
    fault: Fault | None = None
    meaning: str = ""

    @property
    def approved(self) -> bool:
        return self.response_code == APPROVED

    @property
    def challenged(self) -> bool:
        """True if the payer must first say yes on the bank's own page (3-D Secure)."""
        return self.response_code == AUTHENTICATION_REQUIRED


APPROVED = "00"
AUTHENTICATION_REQUIRED = "1A"
"""Visa's code for a soft decline that asks for strong customer authentication (Mastercard says 65, which here means
what ISO 8583 says: too many payments)."""
EXPIRED_CARD = "54"
INVALID_NUMBER = "14"

SLOW_S = 3.0

TEST_CARDS: tuple[TestCard, ...] = (
    TestCard("4111111111111111", "approve", meaning="approved (Visa)"),
    TestCard("4242424242424242", "approve", meaning="approved (Visa)"),
    TestCard("5555555555554444", "approve", meaning="approved (Mastercard)"),
    TestCard("378282246310005", "approve", meaning="approved (American Express)"),
    TestCard(
        "4000000000000002",
        "card_declined",
        "05",
        decline="card_declined",
        meaning="declined, no reason given",
    ),
    TestCard(
        "4000000000009995",
        "insufficient_funds",
        "51",
        decline="insufficient_funds",
        meaning="not enough money",
    ),
    TestCard("4000000000009987", "lost", "41", decline="lost_card", meaning="reported lost"),
    TestCard("4000000000009979", "stolen", "43", decline="stolen_card", meaning="reported stolen"),
    TestCard(
        "4000000000000069",
        "expired",
        EXPIRED_CARD,
        decline="expired_card",
        meaning="the bank says it expired",
    ),
    TestCard("4000000000000127", "incorrect_cvc", "N7", cvc="N", decline="incorrect_cvc", meaning="wrong card code"),
    TestCard(
        "4000000000000119",
        "processing_error",
        "96",
        decline="processing_error",
        meaning="the bank's own fault",
    ),
    TestCard("4000000000006975", "limit", "61", decline="limit_exceeded", meaning="over the card's limit"),
    TestCard(
        "4000000000003220",
        "three_d_secure",
        AUTHENTICATION_REQUIRED,
        decline="card_declined",
        meaning="3-D Secure: the payer approves on the bank's page; who refuses is declined",
    ),
    TestCard("4000000000000010", "avs_fails", avs="N", meaning="approved, address check fails"),
    TestCard("4000000000000101", "cvc_fails", cvc="N", meaning="approved, card-code check fails"),
    TestCard("4000000000009003", "slow", fault=Fault.SLOW, meaning="approved after 3 s"),
    TestCard(
        "4000000000009011",
        "timeout_before",
        fault=Fault.TIMEOUT_BEFORE,
        meaning="no answer; the bank never acted",
    ),
    TestCard(
        "4000000000009029",
        "timeout_after",
        fault=Fault.TIMEOUT_AFTER,
        meaning="no answer; the bank took the money",
    ),
    TestCard("4000000000009508", "bank_500", fault=Fault.ERROR_500, meaning="HTTP 500; the bank did nothing"),
    TestCard("4000000000009045", "reset", fault=Fault.RESET, meaning="connection reset; the bank took the money"),
    TestCard(
        "4000000000009060",
        "malformed",
        fault=Fault.MALFORMED,
        meaning="an answer that is not JSON; the bank took the money",
    ),
)

_BY_NUMBER = {card.number: card for card in TEST_CARDS}


def luhn_valid(number: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B, over ASCII digits."""
    if not (number.isascii() and number.isdigit()):
        return False
    total = 0
    for index, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def card_behaviour(number: str) -> TestCard:
    """The table's row, or for any other number: approved if the check digit fits, else response code 14."""
    card = _BY_NUMBER.get(number)
    if card is not None:
        return card
    if luhn_valid(number):
        return TestCard(number, "approve")
    return TestCard(number, "incorrect_number", INVALID_NUMBER, decline="incorrect_number")


def markdown_table() -> str:
    """The table of test cards as the README shows it."""
    rows = ["| card number | what happens | bank's code | decline |", "|---|---|---|---|"]
    for card in TEST_CARDS:
        code = "" if card.fault is not None and card.fault is not Fault.SLOW else card.response_code
        decline = f"`{card.decline}`" if card.decline else ""
        rows.append(f"| `{card.number}` | {card.meaning} | {code} | {decline} |")
    return "\n".join(rows) + "\n"
