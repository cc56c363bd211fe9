"""The Courier port: letters signed as Standard Webhooks says, by its own package, and carried by guarded HTTPS.

webhook-id: evt_…          equal for each try, so that a receiver can drop repeats
webhook-timestamp: …       of this try, Unix seconds
webhook-signature: v1,…    one for each secret, separated by blanks
"""

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from standardwebhooks import Webhook

from cleartill.adapters.https import Answer, GuardedHttps, NoAnswer
from cleartill.domain.card import passes_luhn
from cleartill.domain.webhook import SHOWN_BYTES, Heard
from cleartill.ports import Letter

TIMEOUT_S = 10.0
OutgoingHeaders = Callable[[], dict[str, str]]
"""Trace headers for the letter about to be sent."""
_SECONDS = re.compile(r"[0-9]{1,9}")
_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12,18}")


class StandardWebhooks:
    def __init__(
        self, https: GuardedHttps, *, timeout_s: float = TIMEOUT_S, outgoing_headers: OutgoingHeaders = dict
    ) -> None:
        self._https, self._timeout_s, self._outgoing_headers = https, timeout_s, outgoing_headers

    async def close(self) -> None:
        await self._https.close()

    async def check(self, url: str) -> None:
        await self._https.check(url)

    async def send(self, letter: Letter) -> Heard:
        began = time.monotonic()
        try:
            answer = await self._https.post(
                letter.url,
                letter.body,
                _headers(letter) | self._outgoing_headers(),
                within_s=self._timeout_s,
                read=SHOWN_BYTES,
            )
        except NoAnswer as silence:
            return Heard(None, silence.why, _ms(time.monotonic() - began))
        return _heard(answer)


def _headers(letter: Letter) -> dict[str, str]:
    body = letter.body.decode()
    signatures = [Webhook(secret.reveal()).sign(letter.id, letter.at, body) for secret in letter.secrets]
    return {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": "cleartill-webhooks",
        "webhook-id": letter.id,
        "webhook-timestamp": str(math.floor(letter.at.timestamp())),
        "webhook-signature": " ".join(signatures),
        "traceparent": letter.traceparent,
    }


def _heard(answer: Answer) -> Heard:
    redirects = 300 <= answer.status < 400
    text = _DIGITS.sub(_hidden, answer.begin.decode(errors="replace").replace("\0", "�"))
    return Heard(
        answer.status, "redirect" if redirects else None, _ms(answer.took_s), text, _retry_after_s(answer.retry_after)
    )


def _hidden(found: re.Match[str]) -> str:
    """What a receiver says is kept, but not a card number (PCI DSS 3.5.1)."""
    return "[PAN dropped]" if passes_luhn(re.sub("[ -]", "", found[0])) else found[0]


def _retry_after_s(header: str | None) -> float | None:
    """Seconds, or an HTTP date (RFC 9110, 10.2.3); what makes no sense is as good as absent."""
    if header is None:
        return None
    if _SECONDS.fullmatch(header.strip()):
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
