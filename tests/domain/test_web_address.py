"""Which URLs and addresses may be asked for: a table of those that must not, and why the others may."""

from ipaddress import ip_address, ip_network

import pytest

from cleartill.domain.errors import InvalidUrl
from cleartill.domain.web_address import WebAddress, admits, is_public, parse

HOSTILE = [
    # this machine
    "https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/", "https://127.0.0.1/",
    "https://127.0.0.1:8080/", "https://127.8.8.8/", "https://0.0.0.0/", "https://[::1]/", "https://[::]/",
    "https://localhost.localdomain/",
    # the same, written otherwise
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://127.1/",
    "https://127.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://0/", "https://00000000.0.0.0/",
    "https://127.0.0.0x1/", "https://127.000.000.001/", "https://４.0.0.1/", "https://①②⑦.⓪.⓪.①/", "https://ⓛocalhost/",
    "https://%31%32%37.0.0.1/", "https://127。0。0。1/",
    # networks of our own
    "https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/",
    "https://100.64.0.1/", "https://169.254.169.254/latest/meta-data/", "https://169.254.170.2/",
    "https://100.100.100.200/", "https://168.63.129.16/", "https://192.0.0.192/", "https://198.18.0.1/",
    "https://metadata.google.internal/", "https://printer.local/", "https://kubernetes/", "https://db.intranet/",
    "https://1.0.0.127.in-addr.arpa/",
    # nobody's, everybody's, and for documents
    "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/", "https://255.255.255.255/",
    "https://192.0.2.1/", "https://198.51.100.1/", "https://203.0.113.1/", "https://192.88.99.1/",
    # IPv6: unique local, link-local, multicast, documents, and what hides an IPv4 address
    "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/", "https://[ff02::1]/", "https://[2001:db8::1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[::ffff:10.0.0.1]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a00:1]/", "https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/",
    "https://[2606:4700::5efe:127.0.0.1]/", "https://[::ffff:0:127.0.0.1]/", "https://[fec0::1]/",
    # what parsers read differently
    "https://good.example@127.0.0.1/", "https://user:secret@good.example/", "https://good.example#@127.0.0.1/",
    "https://good.example\\@127.0.0.1/", "https://127.0.0.1\\.good.example/", "https://good.example:443@10.0.0.1/",
    "https:///good.example/", "https:/good.example/", "https:good.example", "//good.example/", "https://",
    "https://good.example:0/", "https://good.example:65536/", "https://good.example:+443/", "https://good.example:４43/",
    "https://good.example\t/", "https://good.exa\nmple/", " https://good.example/", "https://good.example/ x",
    "https://[::1", "https://::1]/", "https://[v1.fe80::1]/", "https://good..example/", "https://.example/",
    "https://-good.example/", f"https://{'a' * 64}.example/", f"https://{'a.' * 127}example/",
    "https://good.example/" + "x" * 2048, "",
    # other schemes, and other services
    "http://good.example/", "ftp://good.example/", "file:///etc/passwd", "gopher://good.example/",
    "javascript:alert(1)",
    "data:text/html,x", "unix:///run/docker.sock", "https://good.example:22/", "https://good.example:25/",
    "https://good.example:6379/", "https://good.example:5432/",
]  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("url", HOSTILE, ids=[f"{number}" for number in range(len(HOSTILE))])
def test_a_hostile_url_is_refused_as_it_is_written(url: str) -> None:
    with pytest.raises(InvalidUrl) as refused:
        parse(url, loopback=False)
    assert "127" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://shop.example", "shop.example", 443, "/"),
        ("https://Shop.Example/hooks?a=1&b=2", "shop.example", 443, "/hooks?a=1&b=2"),
        ("https://shop.example:8443/a%20b", "shop.example", 8443, "/a%20b"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
        ("https://8.8.8.8/x", "8.8.8.8", 443, "/x"),
        ("https://[2606:4700:0:0::6810:84e5]/x", "2606:4700::6810:84e5", 443, "/x"),
        ("https://127.shop.example/", "127.shop.example", 443, "/"),
    ],
)
def test_a_public_one_is_taken_apart(url: str, host: str, port: int, target: str) -> None:
    assert parse(url, loopback=False) == WebAddress("https", host, port, target)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/hook", "http://localhost:9000/", "https://localhost/", "http://[::1]:9000/"]
)
def test_a_setting_lets_this_machine_be_asked(url: str) -> None:
    assert parse(url, loopback=True).target in ("/", "/hook")
    with pytest.raises(InvalidUrl):
        parse(url, loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/", "http://169.254.169.254/", "http://[::ffff:127.0.0.1]/", "http://2130706433/",
        "http://8.8.8.8/", "http://shop.example/", "https://0.0.0.0/", "http://127.0.0.1:6379/", "https://a.localhost/",
    ],
)  # fmt: skip
def test_and_nothing_else(url: str) -> None:
    with pytest.raises(InvalidUrl):
        parse(url, loopback=True)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::8"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


def test_an_address_with_a_zone_is_not_public() -> None:
    assert not is_public(ip_address("2606:4700::1%eth0"))


def test_without_tls_only_loopback_is_admitted() -> None:
    plain = WebAddress("http", "shop.example", 80, "/")
    assert not plain.admits(ip_address("8.8.8.8"), loopback=True)
    assert plain.admits(ip_address("127.0.0.1"), loopback=True)
    assert not plain.admits(ip_address("127.0.0.1"), loopback=False)


# ── private networks that the operator names ─────────────────────────────────────────────────────────────────────────

NETWORKS = (ip_network("10.1.0.0/16"), ip_network("fd12::/16"))
LOOKED_UP = [
    "https://metadata.google.internal/", "https://printer.local/", "https://kubernetes/", "https://db.intranet/",
    "https://1.0.0.127.in-addr.arpa/", "https://localhost.localdomain/", "http://good.example/",
]  # fmt: skip
"""With a network of one's own any name may be somebody's in it, without TLS too: its addresses decide."""


@pytest.mark.parametrize(
    "url", [url for url in HOSTILE if url not in LOOKED_UP], ids=lambda url: f"{HOSTILE.index(url)}"
)
def test_a_network_of_ones_own_opens_nothing_else(url: str) -> None:
    with pytest.raises(InvalidUrl):
        parse(url, loopback=False, networks=NETWORKS)


@pytest.mark.parametrize("url", ["http://10.1.2.3:9000/hook", "https://10.1.2.3/", "http://[fd12::7]:9000/hook"])
def test_its_addresses_may_be_asked(url: str) -> None:
    assert parse(url, loopback=False, networks=NETWORKS).target in ("/", "/hook")
    with pytest.raises(InvalidUrl):
        parse(url, loopback=True)


@pytest.mark.parametrize("url", [*LOOKED_UP, "http://receiver:9000/", "https://hooks.svc.cluster.local/"])
def test_its_names_are_judged_by_their_addresses(url: str) -> None:
    assert set(LOOKED_UP) <= set(HOSTILE)
    found = parse(url, loopback=False, networks=NETWORKS)
    assert found.admits(ip_address("10.1.0.1"), loopback=False, networks=NETWORKS)
    for elsewhere in ("127.0.0.1", "169.254.169.254", "10.2.0.1", "::ffff:10.1.0.1", "fd13::1", "fd12::1%eth0"):
        assert not found.admits(ip_address(elsewhere), loopback=False, networks=NETWORKS)
    assert found.admits(ip_address("8.8.8.8"), loopback=False, networks=NETWORKS) is (found.scheme == "https")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_network_no_private_address_is_admitted(scheme: str) -> None:
    assert not any(admits(scheme, ip_address(one), loopback=True) for one in ("10.1.2.3", "fd12::7", "192.168.0.1"))
