"""Guarded HTTPS with private networks that the operator names: what they open, and what stays closed beside them."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from cleartill.adapters.https import ForbiddenAddress, GuardedHttps, NoAnswer
from cleartill.domain.errors import InvalidUrl
from cleartill.domain.web_address import parse

NETWORKS = (ip_network("10.1.0.0/16"),)
URL = "http://receiver:9000/"


@asynccontextmanager
async def standing_for(*addresses: str) -> AsyncIterator[GuardedHttps]:
    """A guard to which every name stands for these addresses."""

    async def lookup(host: str, port: int) -> list[str]:
        return list(addresses)

    made = GuardedHttps(loopback=False, networks=NETWORKS, lookup=lookup)
    try:
        yield made
    finally:
        await made.close()


async def why(https: GuardedHttps, url: str) -> str:
    with pytest.raises(NoAnswer) as silence:
        await https.post(url, b"{}", {}, within_s=5.0, read=1024)
    return silence.value.why


def place(address: str) -> tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]:
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 9000)


async def test_it_is_asked_by_name_and_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: what counts is that the socket is made for it, and nothing is refused."""
    made: list[str] = []
    judge: Callable[..., socket.socket] = GuardedHttps._socket

    def noted(self: GuardedHttps, scheme: str, found: tuple[object, ...]) -> socket.socket:
        judge(self, scheme, found).close()
        made.append(f"{scheme} {found[4]}")
        raise OSError("far enough")

    monkeypatch.setattr(GuardedHttps, "_socket", noted)
    async with standing_for("10.1.2.3") as https:
        await https.check(URL)
        assert await https.addresses(parse(URL, loopback=False, networks=NETWORKS)) == ["10.1.2.3"]
        assert await why(https, URL) == "connect"
    assert made == ["http ('10.1.2.3', 9000)"]


@pytest.mark.parametrize("address", ["10.2.0.1", "127.0.0.1", "169.254.169.254", "8.8.8.8", "::ffff:10.1.2.3"])
async def test_what_lies_beside_it_is_not(address: str) -> None:
    """A public address neither: a name of one's own may go without TLS, one of everybody's must not."""
    async with standing_for("10.1.2.3", address) as https:
        with pytest.raises(InvalidUrl):
            await https.check(URL)
        assert await why(https, URL) == "forbidden_address"


async def test_what_may_be_asked_by_tls_may_not_be_without() -> None:
    """One guard sends to both; neither lends the other its addresses, at the resolver or at the socket."""
    async with standing_for("8.8.8.8") as https:
        await https.check("https://receiver.example/")
        https._socket("https", place("8.8.8.8")).close()
        assert await why(https, "http://receiver.example/") == "forbidden_address"
        with pytest.raises(ForbiddenAddress):
            https._socket("http", place("8.8.8.8"))


async def test_without_the_setting_it_is_closed() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["10.1.2.3"]

    https = GuardedHttps(loopback=True, lookup=lookup)
    try:
        assert await why(https, URL) == "forbidden_address"
        assert await why(https, "https://receiver.example/") == "forbidden_address"
        with pytest.raises(ForbiddenAddress):
            https._socket("https", place("10.1.2.3"))
    finally:
        await https.close()
