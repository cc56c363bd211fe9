"""Where on the web we may be sent by somebody else: which URLs, and which addresses behind their names.

A URL is judged twice: as it is written, and by the addresses its host stands for, one by one, whenever a connection is
made. Whoever reads a URL otherwise than we do must not be led elsewhere: what different parsers read differently is
refused.

Two things open more, each by a setting: this machine (`loopback`), and private networks that the operator names
(`networks`), where receivers may have names that only that network knows and need no TLS. What a name stands for is
judged all the same: it must be public, or in one of those.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NoReturn
from urllib.parse import urlsplit

from cleartill.domain.errors import InvalidUrl

MAX_LENGTH = 2048
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_WRITTEN = re.compile(r"[!-~]+")
_MISREAD = re.compile(r"[\\^`{|}<>\"]")
"""Browsers take a backslash for a slash; the others have no place in a URL (RFC 3986, 2)."""
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LOOPBACK_NAMES = ("localhost",)
_INSIDE = ("local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "onion")
"""Last labels that no public name has: somebody's own network, or another one altogether."""

# IANA's special-purpose registry, all that is not globally reachable; multicast and what was reserved; and 6to4's
# anycast. 168.63.129.16 is public, and yet the way to the machine's host in one cloud.
_CLOSED_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
    )
)  # fmt: skip
# Of IPv6 only global unicast is open (2000::/3), less what leads through a tunnel to an IPv4 address that we would not
# see (Teredo, 6to4) and what is for documents and tests. Mapped, translated (NAT64) and unique local ones lie outside.
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_ISATAP = re.compile(r"0[02]00:5efe")

_CLOSED_PORTS = frozenset(
    (1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
     111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526,
     530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049,
     2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 5900, 5984, 6000, 6379, 6566,
     6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 9200, 9300, 10080, 10250, 11211, 27017)
)  # fmt: skip
"""Where something else than HTTP listens: the Fetch standard's bad ports, and those of stores and brokers."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A URL that may be asked for, in parts. `host`: in lower case, an IPv6 address without brackets; `target`: path
    and query, as written."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def literal(self) -> Address | None:
        """The address, where the host is one and not a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    def admits(self, address: Address, *, loopback: bool, networks: Sequence[Network] = ()) -> bool:
        """Whether this URL may be asked for at this address. Without TLS only where a setting opens it."""
        return admits(self.scheme, address, loopback=loopback, networks=networks)


def admits(scheme: str, address: Address, *, loopback: bool, networks: Sequence[Network] = ()) -> bool:
    """The same, of any URL of this scheme."""
    if loopback and is_loopback(address):
        return True
    if getattr(address, "scope_id", None) is None and any(address in network for network in networks):
        return True
    return scheme == "https" and is_public(address)


def is_loopback(address: Address) -> bool:
    """127.0.0.0/8 and ::1; not what is mapped or translated to them."""
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def is_public(address: Address) -> bool:
    """Whether anybody could be asked there, so that asking from here opens nothing that was closed."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    if address.scope_id is not None or address not in _OPEN_6 or any(address in network for network in _CLOSED_6):
        return False
    return not _ISATAP.fullmatch(address.exploded[20:29])


def parse(url: str, *, loopback: bool, networks: Sequence[Network] = ()) -> WebAddress:
    """The URL in parts, if it may be asked for as far as it tells. `loopback`: whether this machine may be asked, and
    without TLS; `networks`: which private ones may, just so.

    Raises InvalidUrl, which says why and not what.
    """
    if len(url) > MAX_LENGTH or not _WRITTEN.fullmatch(url) or _MISREAD.search(url):
        raise InvalidUrl(f"must be a URL of at most {MAX_LENGTH} characters, percent-encoded where it is not ASCII")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:  # brackets that do not match
        raise InvalidUrl("is not a URL") from None
    if parts.scheme not in ("https", "http") or not url.lower().startswith(f"{parts.scheme}://"):
        raise InvalidUrl("must begin with https://")
    if "@" in parts.netloc or parts.fragment or "#" in url:
        raise InvalidUrl("must hold no user, password or fragment")
    port = _port(parts.netloc, 443 if parts.scheme == "https" else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = _host(host, bracketed="[" in parts.netloc, loopback=loopback, private=bool(networks))
    made = WebAddress(parts.scheme, host, port, target)
    if (literal := made.literal) is not None:
        if not made.admits(literal, loopback=loopback, networks=networks):
            raise InvalidUrl("must not lead to a private, local or reserved address")
    elif made.scheme == "http" and not (networks or (loopback and made.host in _LOOPBACK_NAMES)):
        raise InvalidUrl("must begin with https://")
    return made


def _port(netloc: str, default: int) -> int:
    written = netloc.rpartition("]")[2].partition(":")
    if not written[1]:
        return default
    port = int(written[2]) if _PORT.fullmatch(written[2]) else 0
    if not 0 < port < 65536:
        raise InvalidUrl("has a port that is none")
    if port in _CLOSED_PORTS:
        raise InvalidUrl("must not name a port where something else than HTTPS listens")
    return port


def _host(host: str, *, bracketed: bool, loopback: bool, private: bool) -> str:
    """The host as it will be looked up; `private`: it may be one that only a network of our own knows. Raises
    InvalidUrl."""
    if bracketed:
        try:
            return str(IPv6Address(host)) if "%" not in host else _no_host()
        except ValueError:
            _no_host()
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]) or (not labels[-1] and len(labels) > 1 and _NUMBER.fullmatch(labels[-2])):
        try:  # whatever ends in a number is an IPv4 address, or taken for one by somebody: 127.1, 0x7f.1, 017700000001
            return str(IPv4Address(host))
        except ValueError:
            raise InvalidUrl("must write an IPv4 address as four decimal numbers") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        _no_host()
    if loopback and host in _LOOPBACK_NAMES:
        return host
    if labels[-1] in _LOOPBACK_NAMES or (not private and (len(labels) < 2 or labels[-1] in _INSIDE)):
        raise InvalidUrl("must name a public host in full")
    return host


def _no_host() -> NoReturn:
    raise InvalidUrl("names no host that there could be")
