"""Where merchants' webhooks may go besides the public web: this machine, but not in production; networks we name."""

from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from cleartill.settings import Settings

FIT = {"_env_file": None, "seed_demo": False, "secret_key": "s" * 32, "webhook_secret": "w" * 32}
BOOKS = "postgresql://u:own@books/cleartill?sslmode=verify-full"
PRODUCTION = {**FIT, "env": "production", "encryption_key": "1:" + "A" * 43 + "=", "database_url": BOOKS}


def test_on_a_machine_of_ones_own() -> None:
    assert Settings(**FIT).webhooks_to_loopback  # type: ignore[arg-type]
    assert not Settings(**FIT, webhook_allow_loopback=False).webhooks_to_loopback  # type: ignore[arg-type]


def test_in_production_it_is_off_and_cannot_be_on() -> None:
    assert not Settings(**PRODUCTION).webhooks_to_loopback  # type: ignore[arg-type]
    assert not Settings(**PRODUCTION, webhook_allow_loopback=False).webhooks_to_loopback  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="WEBHOOK_ALLOW_LOOPBACK"):
        Settings(**PRODUCTION, webhook_allow_loopback=True)  # type: ignore[arg-type]


def test_by_itself_no_network_is_allowed() -> None:
    assert Settings(**FIT).webhook_networks == ()  # type: ignore[arg-type]


def test_networks_that_are_allowed_in_production_too() -> None:
    written = " 10.1.0.0/16, 172.18.0.0/16,192.168.7.9, fd12:3456::/32,"
    allowed = tuple(map(ip_network, ("10.1.0.0/16", "172.18.0.0/16", "192.168.7.9/32", "fd12:3456::/32")))
    assert Settings(**FIT, webhook_allow_networks=written).webhook_networks == allowed  # type: ignore[arg-type]
    assert Settings(**PRODUCTION, webhook_allow_networks=written).webhook_networks == allowed  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written",
    [
        "0.0.0.0/0", "::/0", "169.254.0.0/16", "169.254.169.254", "169.254.169.0/24", "168.0.0.0/6", "127.0.0.0/8",
        "::1", "fe80::/10", "8.8.8.0/24", "10.0.0.0/7", "::ffff:10.0.0.0/104", "224.0.0.0/4", "0.0.0.0/8",
        "168.63.129.16", "64:ff9b::/96", "2000::/3", "10.1.2.3/16", "10.1", "receivers", "10.1.0.0/16;10.2.0.0/16",
        "10.1.0.0/33",
    ],
)  # fmt: skip
def test_what_is_no_private_network_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="WEBHOOK_ALLOW_NETWORKS"):
        Settings(**FIT, webhook_allow_networks=f"10.1.0.0/16,{written}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written",
    ["fd00:ec2::254", "fd00:ec2::/32", "fd00::/8", "fc00::/7", "fd20:ce::/32", "100.64.0.0/10", "100.100.100.200"],
)
def test_nor_one_in_which_a_cloud_tells_credentials(written: str) -> None:
    with pytest.raises(ValidationError, match="credentials"):
        Settings(**FIT, webhook_allow_networks=written)  # type: ignore[arg-type]
