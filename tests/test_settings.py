"""Settings give no secret away, whatever is wrong with them."""

import pytest
from pydantic import ValidationError

from cleartill.settings import Settings

SECRETS = {"secret_key": "hush-key", "encryption_key": "1:hush-ring", "database_url": "postgresql://u:hush-pass@h/d"}


def test_a_refusal_holds_no_value() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, env="production", redis_url="redis://:hush-redis@h/0", **SECRETS)  # type: ignore[call-arg,arg-type]
    assert "production" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_printing_them_shows_none() -> None:
    settings = Settings(_env_file=None, redis_url="redis://:hush-redis@h/0", **SECRETS)  # type: ignore[call-arg,arg-type]
    assert "hush" not in f"{settings!r} {settings}"
