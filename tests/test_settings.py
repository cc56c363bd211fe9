"""Settings give no secret away, whatever is wrong with them."""

import pytest
from pydantic import ValidationError

from cleartill.api.limits import Rule
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


def settings(**other: object) -> Settings:
    return Settings(_env_file=None, **other)  # type: ignore[call-arg,arg-type]


@pytest.mark.parametrize(
    ("set_to", "page"),
    [
        ({}, None),
        ({"dd_site": "datadoghq.eu"}, None),
        ({"dd_trace_enabled": True}, "https://app.datadoghq.com/apm/trace/{trace_id}"),
        ({"dd_trace_enabled": True, "dd_site": "datadoghq.eu"}, "https://app.datadoghq.eu/apm/trace/{trace_id}"),
        ({"dd_trace_enabled": True, "dd_site": "us3.datadoghq.com"}, "https://us3.datadoghq.com/apm/trace/{trace_id}"),
        ({"trace_url": "http://127.0.0.1:8129/traces/{trace_id_64}"}, "http://127.0.0.1:8129/traces/{trace_id_64}"),
    ],
)
def test_traces_are_linked_to_where_they_go(set_to: dict[str, object], page: str | None) -> None:
    assert settings(**set_to).trace_page == page


@pytest.mark.parametrize("url", ["javascript:alert('{trace_id}')", "https://apm.example/", "x https://a/{trace_id}"])
def test_a_link_is_a_web_address_with_a_place_for_the_trace(url: str) -> None:
    with pytest.raises(ValidationError, match="trace_url"):
        settings(trace_url=url)


def test_proxies_are_networks() -> None:
    assert settings().proxies == ()
    assert [str(one) for one in settings(trusted_proxies="10.1.0.0/16, fd00::/8").proxies] == [
        "10.1.0.0/16",
        "fd00::/8",
    ]
    with pytest.raises(ValidationError, match="TRUSTED_PROXIES is networks"):
        settings(trusted_proxies="10.1.2.3/16")


def test_every_rule_of_the_api_can_be_set() -> None:
    assert set(settings().rate_limits) == set(Rule)
    assert settings().rate_limits["console_transactions"] == 120


def production(**other: object) -> Settings:
    """Settings with which production starts."""
    own = {"secret_key": "s" * 32, "encryption_key": "1:" + "A" * 43 + "=", "webhook_secret": "w" * 32}
    url = "postgresql://u:own@books/cleartill?sslmode=verify-full"
    return settings(**({"env": "production", "seed_demo": False, "database_url": url} | own | other))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:own@books/d?sslmode=require",
        "postgresql://u:own@books/d?application_name=x&sslmode=verify-ca",
        "postgresql://u:own@/d?host=/run/postgresql",
    ],
)
def test_production_takes_tls_or_a_socket(url: str) -> None:
    assert production(database_url=url, database_replica_url=url).database_tls_required


@pytest.mark.parametrize("name", ["database_url", "database_replica_url"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:own@books/d",
        "postgresql://u:own@127.0.0.1/d?sslmode=prefer",
        "postgresql://u:own@books/d?sslmode=disable",
        "postgresql://u:own@books/d?sslmode=verify-full&sslmode=disable",
        "postgresql://u:own@/d?host=/run/postgresql,books",
        "postgresql://u:own@/d?host=/run/postgresql&host=books",
        "postgresql:///d",
    ],
)
def test_production_refuses_a_database_in_clear_unless_told(name: str, url: str) -> None:
    with pytest.raises(ValidationError, match=f"TLS in {name.upper()}"):
        production(**{name: url})
    assert production(**{name: url, "database_tls_required": False}).env == "production"
    assert settings(**{name: url}).env == "development"


def test_production_refuses_the_databases_public_password() -> None:
    with pytest.raises(ValidationError, match="password of its own in DATABASE_URL") as refused:
        production(database_url="postgresql://u:cleartill@books/d?sslmode=verify-full")
    assert "@" not in str(refused.value)


def test_production_sends_no_card_in_clear() -> None:
    for address in ("http://bank.example", "http://127.0.0.1.example:1080", "ftp://localhost"):
        with pytest.raises(ValidationError, match="TLS only: BANKING_API_URL"):
            production(banking_api_url=address)
    for address in ("https://bank.example", "http://127.0.0.1:1080", "http://localhost:1080"):
        assert production(banking_api_url=address).banking_api_url == address
    assert settings(banking_api_url="http://mockserver:1080").env == "development"
    assert production(stripe_secret_key="sk_live_x").stripe_api_base == "https://api.stripe.com"
    with pytest.raises(ValidationError, match="TLS only: STRIPE_API_BASE"):
        production(stripe_secret_key="sk_live_x", stripe_api_base="http://127.0.0.1:1")


def test_production_says_all_that_is_wrong_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        settings(env="production", chaos_failpoints="x:kill@1")
    said = str(refused.value)
    for name in ("SECRET_KEY", "SEED_DEMO", "CHAOS_FAILPOINTS", "password of its own", "TLS in DATABASE_URL"):
        assert name in said
