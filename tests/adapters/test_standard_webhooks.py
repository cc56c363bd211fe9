"""Letters as a receiver gets them: verified by the package's own verifier; and what is kept of his answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cleartill.adapters.https import GuardedHttps
from cleartill.adapters.standard_webhooks import StandardWebhooks
from cleartill.domain.webhook import new_secret
from cleartill.embedded.scratch import free_port
from cleartill.ports import Letter

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BODY = '{"id": "evt_1", "data": {"amount": 99.99, "holder": "Zoë"}}'.encode()
OLD, NEW, OTHER = new_secret(), new_secret(), new_secret()
PAN = "4242424242424242"


class Receiver:
    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.headers, self.body = 200, "", b"thank you"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        raw = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.got.append((raw, await reader.readexactly(int(headers["content-length"]))))
        length = f"Content-Length: {len(self.body)}\r\nConnection: close\r\n"
        writer.write(f"HTTP/1.1 {self.status} x\r\n{self.headers}{length}\r\n".encode() + self.body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with await asyncio.start_server(made.serve, "127.0.0.1", made.port):
        yield made


@pytest.fixture
async def courier() -> AsyncIterator[StandardWebhooks]:
    made = StandardWebhooks(GuardedHttps(loopback=True))
    yield made
    await made.close()


def letter(receiver: Receiver, *secrets: object, at: datetime | None = None) -> Letter:
    url = f"http://127.0.0.1:{receiver.port}/hook"
    return Letter(url, "evt_1", BODY, secrets or (NEW,), TRACEPARENT, at or datetime.now(UTC))  # type: ignore[arg-type]


async def test_the_packages_own_verifier_believes_it(courier: StandardWebhooks, receiver: Receiver) -> None:
    heard = await courier.send(letter(receiver))
    assert (heard.status, heard.error, heard.text, heard.ok) == (200, None, "thank you", True)
    assert heard.latency_ms > 0
    headers, body = receiver.got[0]
    assert Webhook(NEW.reveal()).verify(body, headers)["id"] == "evt_1"
    assert body == BODY
    assert headers["webhook-id"] == "evt_1"
    assert headers["traceparent"] == TRACEPARENT
    assert headers["Content-Type"] == "application/json"
    for wrong in (Webhook(OTHER.reveal()),):
        with pytest.raises(WebhookVerificationError):
            wrong.verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW.reveal()).verify(body.replace(b"99.99", b"09.99"), headers)


async def test_during_a_rotation_both_secrets_verify(courier: StandardWebhooks, receiver: Receiver) -> None:
    await courier.send(letter(receiver, NEW, OLD))
    headers, body = receiver.got[0]
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (NEW, OLD):
        Webhook(secret.reveal()).verify(body, headers)


async def test_the_timestamp_is_of_the_try(courier: StandardWebhooks, receiver: Receiver) -> None:
    """A replay of yesterday's message is not believed."""
    await courier.send(letter(receiver, at=datetime.now(UTC) - timedelta(minutes=6)))
    headers, body = receiver.got[0]
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(NEW.reveal()).verify(body, headers)


@pytest.mark.parametrize(
    ("status", "ok", "gone", "error"),
    [
        (204, True, False, None),
        (302, False, False, "redirect"),
        (410, False, True, None),
        (500, False, False, None),
    ],
)
async def test_what_statuses_mean(
    courier: StandardWebhooks, receiver: Receiver, status: int, ok: bool, gone: bool, error: str | None
) -> None:
    receiver.status, receiver.body = status, b""
    receiver.headers = "Location: http://127.0.0.1:1/\r\n"
    heard = await courier.send(letter(receiver))
    assert (heard.status, heard.ok, heard.gone, heard.error) == (status, ok, gone, error)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("120", 120, 120),
        (" 7 ", 7, 7),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        (f"{datetime.now(UTC) + timedelta(hours=1):%a, %d %b %Y %H:%M:%S GMT}", 3000, 3600),
    ],
    ids=["seconds", "with blanks", "a time that is over", "in an hour"],
)
async def test_retry_after(
    courier: StandardWebhooks, receiver: Receiver, header: str, least: float, most: float
) -> None:
    receiver.status, receiver.headers = 503, f"Retry-After: {header}\r\n"
    heard = await courier.send(letter(receiver))
    assert heard.retry_after_s is not None
    assert least <= heard.retry_after_s <= most


@pytest.mark.parametrize("header", ["soon", "-5", "1e9", "Wed, 99 Oct 2015 07:28:00 GMT", "9" * 30])
async def test_a_retry_after_that_makes_no_sense(courier: StandardWebhooks, receiver: Receiver, header: str) -> None:
    receiver.status, receiver.headers = 503, f"Retry-After: {header}\r\n"
    assert (await courier.send(letter(receiver))).retry_after_s is None


async def test_what_is_kept_of_an_answer(courier: StandardWebhooks, receiver: Receiver) -> None:
    """Its beginning, in a form that PostgreSQL can hold, and no card number."""
    receiver.body = b"\x00\xff card 4242 4242 4242 4242, order 1234567890123456 " + b"z" * 5000
    heard = await courier.send(letter(receiver))
    assert len(heard.text) <= 1024
    assert "\0" not in heard.text
    assert PAN not in heard.text.replace(" ", "")
    assert "order 1234567890123456" in heard.text


async def test_silence_has_a_word(courier: StandardWebhooks, receiver: Receiver) -> None:
    nobody = Letter(f"http://127.0.0.1:{free_port()}/", "evt_1", BODY, (NEW,), TRACEPARENT, datetime.now(UTC))
    heard = await courier.send(nobody)
    assert (heard.status, heard.error, heard.ok) == (None, "connect", False)


async def test_a_letter_shows_no_secret_when_printed(receiver: Receiver) -> None:
    assert "whsec" not in repr(letter(receiver, NEW, OLD))
