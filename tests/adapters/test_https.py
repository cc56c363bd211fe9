"""Guarded HTTPS against real sockets on this machine: where it goes, where it does not, and how much it reads."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cleartill.adapters.https import Answer, GuardedHttps, NoAnswer
from cleartill.domain.errors import InvalidUrl
from cleartill.embedded.scratch import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE_S = 5.0


class Receiver:
    """Counts who comes, and answers as it is told."""

    def __init__(self, port: int) -> None:
        self.port, self.requests = port, []
        self.connections = 0
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.held = asyncio.Event()
        self.hangs = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                self.requests.append((head.decode(), await reader.readexactly(length)))
                if self.hangs:
                    await self.held.wait()
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(trust: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    made = Receiver(free_port())
    server = await asyncio.start_server(made.serve, "127.0.0.1", made.port, ssl=trust)
    try:
        yield made
    finally:
        made.held.set()
        server.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@asynccontextmanager
async def guard(loopback: bool = True, **more: object) -> AsyncIterator[GuardedHttps]:
    made = GuardedHttps(loopback=loopback, **more)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


async def post(https: GuardedHttps, url: str, *, within_s: float = PATIENCE_S, body: bytes = b"{}") -> Answer:
    return await https.post(url, body, {"x-test": "1"}, within_s=within_s, read=1024)


async def why(https: GuardedHttps, url: str, **more: float) -> str:
    with pytest.raises(NoAnswer) as silence:
        await post(https, url, **more)  # type: ignore[arg-type]
    return silence.value.why


def stands_for(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def lookup(host: str, port: int) -> list[str]:
        return list(addresses)

    return lookup


# ── what it does ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_posts_and_keeps_the_connection(receiver: Receiver) -> None:
    async with guard() as https:
        for _ in range(3):
            answer = await post(https, receiver.url, body=b'{"a": 1}')
            assert (answer.status, answer.begin, answer.retry_after) == (200, b"ok", None)
    assert receiver.connections == 1
    head, body = receiver.requests[0]
    assert head.startswith("POST /hook?a=1 HTTP/1.1\r\n")
    assert "x-test: 1" in head
    assert body == b'{"a": 1}'


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    async with receiving() as other, guard() as https:
        receiver.answer = f"HTTP/1.1 {status} x\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        assert (await post(https, receiver.url)).status == status
        assert other.connections == 0


async def test_of_a_huge_answer_only_the_beginning_is_read(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n" + b"x" * 100_000
    async with guard() as https:
        assert (await post(https, receiver.url)).begin == b"x" * 1024
        assert (await post(https, receiver.url)).begin == b"x" * 1024
    assert receiver.connections == 2


async def test_a_bomb_is_not_unpacked(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    async with guard() as https:
        assert (await post(https, receiver.url)).begin == b"\x1f\x8b\x08\x00"


async def test_an_answer_without_end_ends(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"y" * 1024 + b"\r\n"
    async with guard() as https:
        assert (await post(https, receiver.url)).begin == b"y" * 1024


async def test_cookies_are_not_kept(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"
    async with guard() as https:
        await post(https, receiver.url)
        await post(https, receiver.url)
    assert "cookie" not in receiver.requests[1][0].lower()


async def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, guard() as https:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await post(https, receiver.url)).status == 200
        assert proxy.connections == 0


# ── why there may be no answer ───────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_there() -> None:
    async with guard() as https:
        assert await why(https, f"http://127.0.0.1:{free_port()}/") == "connect"


async def test_one_who_hangs(receiver: Receiver) -> None:
    receiver.hangs = True
    async with guard() as https:
        assert await why(https, receiver.url, within_s=0.05) == "timeout"


async def test_one_who_hangs_in_the_middle_of_his_answer(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    async with guard() as https:
        assert await why(https, receiver.url, within_s=0.1) == "timeout"


@pytest.mark.parametrize("said", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"])
async def test_one_who_speaks_no_http(receiver: Receiver, said: bytes) -> None:
    receiver.answer = said
    async with guard() as https:
        assert await why(https, receiver.url) == "unreadable"


async def test_one_who_hangs_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    port = free_port()
    async with await asyncio.start_server(hang_up, "127.0.0.1", port), guard() as https:
        assert await why(https, f"http://127.0.0.1:{port}/") == "reset"


# ── where it does not go ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_without_the_setting_this_machine_is_not_asked(receiver: Receiver) -> None:
    async with guard(loopback=False) as https:
        assert await why(https, receiver.url) == "forbidden_address"
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["::1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"],
        ["0.0.0.0"], ["8.8.8.8", "127.0.0.1"], ["2606:4700::1", "fe80::1"],
    ],
    ids=" ".join,
)  # fmt: skip
async def test_a_name_is_condemned_by_one_of_its_addresses(addresses: list[str]) -> None:
    async with guard(loopback=False, lookup=stands_for(*addresses)) as https:
        with pytest.raises(InvalidUrl):
            await https.check("https://shop.example/")
        assert await why(https, "https://shop.example/") == "forbidden_address"


async def test_a_name_that_turns_inward_between_saving_and_sending(receiver: Receiver) -> None:
    """DNS rebinding: public while it is looked at, and this machine a moment later."""
    answers = [["93.184.215.14"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    url = f"https://rebind.example:{receiver.port}/"
    async with guard(loopback=False, lookup=rebinding) as https:
        await https.check(url)
        assert await why(https, url) == "forbidden_address"
    assert receiver.connections == 0
    assert answers == []


async def test_it_connects_to_the_very_address_it_has_judged(receiver: Receiver) -> None:
    """Looked up once for a connection: a second look, which would be told another address, never happens."""
    looked = 0

    async def once(host: str, port: int) -> list[str]:
        nonlocal looked
        looked += 1
        return ["127.0.0.1"] if looked == 1 else ["10.0.0.1"]

    async with guard(loopback=True, lookup=once) as https:
        answer = await post(https, f"http://localhost:{receiver.port}/")
    assert (answer.status, looked, receiver.connections) == (200, 1, 1)


async def test_the_socket_is_judged_too(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should an address ever come past the first judge."""

    async def blind(self: GuardedHttps, address: object) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(GuardedHttps, "addresses", blind)
    async with guard(loopback=False) as https:
        assert await why(https, f"https://shop.example:{receiver.port}/") == "forbidden_address"
    assert receiver.connections == 0


async def test_a_name_nobody_knows_may_be_saved_and_is_not_found_when_sending() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    async with guard(lookup=unknown) as https:
        await https.check("https://shop.example/")
        assert await why(https, "https://shop.example/") == "dns"


async def test_the_systems_own_lookup_knows_this_machine() -> None:
    async with guard(loopback=False) as https:
        with pytest.raises(InvalidUrl):
            await https.check("https://localhost:8443/")
        assert "127.0.0.1" in await https._systems("localhost", 80)


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For localhost, signed by itself, with its key."""
    made = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    options = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(made), "-out", f"{made}.crt"]
    subprocess.run([*command.split(), *options], check=True, capture_output=True, timeout=30)
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made


async def test_tls_goes_by_the_name(certificate: Path) -> None:
    own, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    own.load_cert_chain(certificate)
    trusting.load_verify_locations(certificate)
    async with receiving(own) as receiver:
        async with guard(trust=trusting) as https:
            assert (await post(https, f"https://localhost:{receiver.port}/")).status == 200
            assert await why(https, f"https://127.0.0.1:{receiver.port}/") == "tls"
        async with guard() as https:
            assert await why(https, f"https://localhost:{receiver.port}/") == "tls"
        assert len(receiver.requests) == 1
