"""Whether merchants' webhooks may go to this machine: by itself yes, in production never."""

import pytest
from pydantic import ValidationError

from cleartill.settings import Settings

FIT = {"_env_file": None, "seed_demo": False, "secret_key": "s" * 32, "webhook_secret": "w" * 32}
PRODUCTION = {**FIT, "env": "production", "encryption_key": "1:" + "A" * 43 + "="}


def test_on_a_machine_of_ones_own() -> None:
    assert Settings(**FIT).webhooks_to_loopback  # type: ignore[arg-type]
    assert not Settings(**FIT, webhook_allow_loopback=False).webhooks_to_loopback  # type: ignore[arg-type]


def test_in_production_it_is_off_and_cannot_be_on() -> None:
    assert not Settings(**PRODUCTION).webhooks_to_loopback  # type: ignore[arg-type]
    assert not Settings(**PRODUCTION, webhook_allow_loopback=False).webhooks_to_loopback  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="WEBHOOK_ALLOW_LOOPBACK"):
        Settings(**PRODUCTION, webhook_allow_loopback=True)  # type: ignore[arg-type]
