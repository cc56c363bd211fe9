"""The HTTP client of providers: one request, one reply, and exact knowledge of whether a byte went out.

No redirects, cookies, proxies from the environment, decompression or retries of its own (aiohttp repeats only
idempotent methods: here `GET`). A reply is bounded in size, a call in time.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
from yarl import URL

from cleartill.domain.outcome import NotSent, Unknown

CONNECT_S = 1.0
"""How long a connection may take to open. The whole call is bounded by its caller's deadline: it cancels the call."""
IDLE_S = 4.0
"""How long an unused connection is kept: less than the 5 s after which common servers close theirs."""
REPLY_MAX = 64 * 1024
HEADER_MAX = 8190

OutgoingHeaders = Callable[[], Mapping[str, str]]
"""Trace headers for the request about to be sent."""

_NOTHING_WRITTEN = "nothing was written"
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "cleartill"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: an HTTP status below 500 and the JSON document."""

    status: int
    body: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Raw:
    """A reply as it came, for those who read it themselves: an HTTP status below 500 and the bytes."""

    status: int
    text: bytes = field(repr=False)


@dataclass(slots=True)
class _Journey:
    """How far a request came. `written` from the moment a connection is there to be written to."""

    written: bool = False


def no_headers() -> Mapping[str, str]:
    """No trace goes out."""
    return {}


def nothing_written(cancelled: BaseException | None) -> bool:
    """Whether this CancelledError stopped a `Wire.send` that had not written a byte yet."""
    return _NOTHING_WRITTEN in getattr(cancelled, "__notes__", ())


class Wire:
    """Keep-alive connections to one address; how many at once is the bulkhead's business."""

    def __init__(
        self, base_url: str, outgoing_headers: OutgoingHeaders = no_headers, *, connect_s: float = CONNECT_S
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._outgoing_headers = outgoing_headers
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        reply_max: int = REPLY_MAX,
    ) -> Reply | Unknown | NotSent:
        """Send a JSON request and read its JSON reply, of at most `reply_max` bytes; the rest as `carry`."""
        sent = dict(headers or {})
        if document is not None:
            sent["Content-Type"] = "application/json"
        raw = await self.carry(method, path, None if document is None else orjson.dumps(document), sent, reply_max)
        if not isinstance(raw, Raw):
            return raw
        try:
            return Reply(raw.status, orjson.loads(raw.text))
        except ValueError:
            return Unknown("unreadable")

    async def carry(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], reply_max: int = REPLY_MAX
    ) -> Raw | Unknown | NotSent:
        """Send a request and take its reply. `path` is percent-encoded.

        NotSent if no byte was written, else Unknown if no clear reply came. Raises nothing but CancelledError, and
        that one can be asked: `nothing_written`.
        """
        journey = _Journey()
        try:
            sent = {**self._outgoing_headers(), **headers}
            return await self._exchange(method, path, body, sent, journey, reply_max)
        except asyncio.CancelledError as stop:
            if not journey.written:
                stop.add_note(_NOTHING_WRITTEN)
            raise
        except TimeoutError:
            reason = "timeout"
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, ValueError):
            reason = "unreadable"  # half a body, broken HTTP
        except (aiohttp.ClientError, OSError):
            reason = "reset"
        return Unknown(reason) if journey.written else NotSent("connect")

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        journey: _Journey,
        reply_max: int,
    ) -> Raw | Unknown:
        if self._session is None:
            self._session = self._connect()
        url = URL(self._base_url + path, encoded=True)
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=journey
        ) as response:
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return Unknown("server_error")
            text = bytearray()
            async for chunk in response.content.iter_any():
                text += chunk
                if len(text) > reply_max:
                    response.close()
                    return Unknown("unreadable")
            return Raw(response.status, bytes(text))

    def _connect(self) -> aiohttp.ClientSession:
        """Made at the first request, since aiohttp wants a running loop."""
        progress = aiohttp.TraceConfig()
        progress.on_request_headers_sent.append(_about_to_write)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
            timeout=self._timeout,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=HEADER_MAX,
            max_field_size=HEADER_MAX,
            trace_configs=[progress],
        )


async def _about_to_write(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    """aiohttp tells of the headers just before the socket gets them: never too late, which is the safe side."""
    context.trace_request_ctx.written = True
