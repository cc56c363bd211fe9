"""HTTPS to addresses that somebody else has named: a POST that reaches nobody who could not be reached from outside.

A host is looked up once for each connection; every address it stands for is judged, and one bad address condemns the
name. The connection goes to an address that was judged, and the socket is judged once more before it connects, whoever
asked for it. TLS checks the certificate for the host's name. No redirect is followed, no proxy of the environment, no
cookie, no compression; of the answer only the beginning is read.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from cleartill.domain.errors import InvalidUrl
from cleartill.domain.web_address import Network, WebAddress, admits, parse

IDLE_S = 4.0
"""How long an unused connection is kept: less than the 5 s after which common servers close theirs."""
LOOKUP_S = 3.0
HEADER_MAX = 8190
LOOKUP_THREADS = 512
"""Names whose servers are silent hold a thread each, for half a minute: no fewer than there are tries at once."""

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""From a host and a port to the addresses it stands for. Raises OSError."""


class ForbiddenAddress(OSError):
    """A name stands for an address that must not be asked."""


class NoAnswer(Exception):
    """`why`: forbidden_address, dns, connect, tls, timeout, reset, unreadable."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Answer:
    """`begin`: its first bytes. `retry_after`: the header, as it came."""

    status: int
    begin: bytes
    retry_after: str | None
    took_s: float


class GuardedHttps:
    """`loopback`: whether this machine may be asked too, and without TLS; `networks`: which private ones may, just so.
    `lookup`, and `trust`, whose certificates are believed: the system's by themselves."""

    def __init__(
        self,
        *,
        loopback: bool,
        networks: Sequence[Network] = (),
        lookup: Lookup | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._loopback, self._networks, self._trust = loopback, tuple(networks), trust
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")
        self._lookup = lookup or self._systems
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        """By scheme: without TLS fewer addresses are open, and a connection must know which it is for."""

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, url: str) -> None:
        """Raises InvalidUrl if it must not be asked for, by how it reads or by where it leads now."""
        address = self._parse(url)
        try:
            async with asyncio.timeout(LOOKUP_S):
                await self.addresses(address)
        except ForbiddenAddress:
            what = "lead to a private, local or reserved address"
            raise InvalidUrl(f"must not {what}" if address.scheme == "https" else "must begin with https://") from None
        except (OSError, TimeoutError):  # nobody knows the name now: it is judged again before each connection
            return

    async def addresses(self, address: WebAddress) -> list[str]:
        """All that the host stands for, each of them judged. Raises ForbiddenAddress, OSError."""
        found = [address.host] if address.literal else await self._lookup(address.host, address.port)
        if not all(self._admits(address.scheme, one) for one in found):
            raise ForbiddenAddress
        return found

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, within_s: float, read: int) -> Answer:
        """Send it, and read the first `read` bytes of the answer. Raises NoAnswer."""
        try:
            return await self._post(self._parse(url), body, headers, within_s, read)
        except (InvalidUrl, OSError, ValueError, aiohttp.ClientError) as error:  # of which TimeoutError is one
            raise NoAnswer(_why(error)) from None

    async def _post(
        self, address: WebAddress, body: bytes, headers: Mapping[str, str], within_s: float, read: int
    ) -> Answer:
        session = self._sessions.get(address.scheme) or self._connect(address.scheme)
        # Put together from what was judged, so that nobody reads the text another time.
        built = URL.build(scheme=address.scheme, host=address.host, port=address.port)
        target = URL(f"{built}{address.target}", encoded=True)
        began = time.monotonic()
        async with (
            asyncio.timeout(within_s),
            session.post(target, data=body, headers=headers, allow_redirects=False) as response,
        ):
            begin = b""
            while len(begin) < read and (part := await response.content.read(read - len(begin))):
                begin += part
            if not response.content.at_eof():
                response.close()  # the rest is not waited for, and the connection is of no more use
            took_s = time.monotonic() - began
            return Answer(response.status, begin, response.headers.get("Retry-After"), took_s)

    def _parse(self, url: str) -> WebAddress:
        return parse(url, loopback=self._loopback, networks=self._networks)

    def _admits(self, scheme: str, address: str) -> bool:
        return admits(scheme, ip_address(address), loopback=self._loopback, networks=self._networks)

    def _connect(self, scheme: str) -> aiohttp.ClientSession:
        """Made at the first request, since aiohttp wants a running loop."""
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self, scheme),
            socket_factory=lambda found: self._socket(scheme, found),
            ssl=self._trust or True,
            use_dns_cache=False,
            limit=0,
            keepalive_timeout=IDLE_S,
        )
        self._sessions[scheme] = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=HEADER_MAX,
            max_field_size=HEADER_MAX,
        )
        return self._sessions[scheme]

    def _socket(self, scheme: str, found: Any) -> socket.socket:
        """The last word before connecting, about the very address. Raises ForbiddenAddress."""
        family, kind, proto, _, place = found
        if not self._admits(scheme, place[0]):
            raise ForbiddenAddress
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made

    async def _systems(self, host: str, port: int) -> list[str]:
        """In threads of its own: the event loop's few are everybody's."""
        asked = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(place[0]) for *_, place in await asked))


class _Resolver(AbstractResolver):
    """What aiohttp asks for the addresses of a name."""

    def __init__(self, guard: GuardedHttps, scheme: str) -> None:
        self._guard, self._scheme = guard, scheme

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._guard.addresses(WebAddress(self._scheme, host, port, "/"))
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for one in found
        ]

    async def close(self) -> None: ...


def _why(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error.__cause__
    if isinstance(error, ForbiddenAddress | InvalidUrl) or isinstance(cause, ForbiddenAddress):
        return "forbidden_address"
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError() | ValueError():
            return "unreadable"
    return "reset"
