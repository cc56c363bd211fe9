"""Settings, read from the environment once. Only asgi, cli and wiring import this; everyone else is handed values."""

import os
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEV_SECRET = "cleartill-development-only"  # noqa: S105  (public, and refused in production)
DEV_ENCRYPTION_KEY = "1:Y2xlYXJ0aWxsLWRldmVsb3BtZW50LW9ubHktMzJieXQ="
_SECRETS = (
    "secret_key",
    "encryption_key",
    "webhook_secret",
    "stripe_secret_key",
    "stripe_webhook_secret",
    "database_url",
    "database_replica_url",
    "redis_url",
)
DEV_DATABASE_PASSWORD = "cleartill"  # noqa: S105  (as public as the others)
_ENCRYPTED = ("require", "verify-ca", "verify-full")
"""What libpq's `sslmode` may say where nothing may go in clear; its default, `prefer`, does without when it must."""
_HERE = tuple(("http", host) for host in ("127.0.0.1", "::1", "localhost"))
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
_METADATA = tuple(map(ip_network, ("100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128")))
"""Those in the private networks; 169.254.0.0/16, where most are, is none of them."""


class Settings(BaseSettings):
    """Every setting with its safe default; the names are the environment's, in upper case.

    A secret may also come from a file: `SECRET_KEY_FILE` and so on, for each of `_SECRETS`. Production refuses the
    development secrets.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    env: Literal["development", "test", "staging", "production"] = "development"
    debug: bool = False
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    api_processes: Annotated[int, Field(ge=1, le=64)] = 1

    database_url: Annotated[str, Field(repr=False)] = "postgresql://cleartill:cleartill@127.0.0.1:5432/cleartill"
    database_read_pool: Annotated[int, Field(ge=1, le=64)] = 4
    database_replica_url: Annotated[str, Field(repr=False)] = ""
    """For lists, which may be of a moment ago; empty: they read `database_url` too."""
    database_list_pool: Annotated[int, Field(ge=1, le=64)] = 2
    database_tls_required: bool = True
    """In production: both must ask for TLS by `sslmode`, unless they lead to a socket of this machine's file system."""
    database_unsafe_durability: bool = False
    """Let a PostgreSQL with fsync off be used: for tests only, refused in production."""

    redis_url: Annotated[str, Field(repr=False)] = "redis://127.0.0.1:6379/0"
    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_topic: str = "cleartill.events"

    banking_api_url: str = "http://127.0.0.1:1080"
    bank_in_flight: Annotated[int, Field(ge=1, le=4096)] = 256
    request_budget_s: Annotated[float, Field(gt=0, le=60)] = 8.0
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 10
    breaker_open_s: Annotated[float, Field(gt=0, le=600)] = 5.0

    stripe_secret_key: SecretStr = SecretStr("")
    """Enables the provider `stripe`."""
    stripe_webhook_secret: SecretStr = SecretStr("")
    """Enables its callbacks."""
    stripe_api_base: str = "https://api.stripe.com"
    webhook_allow_loopback: bool = True
    """Let merchants' webhooks go to this machine, without TLS too: for work on one machine. Off in production, and
    refused there."""

    webhook_allow_networks: str = ""
    """Private networks, by CIDR, that merchants' webhooks may go to: their receivers are reached by names of that
    network, and without TLS. For an operator inside a private network, in production too."""

    payer_url: str = "http://127.0.0.1:8000/"
    provider_failover: str = ""
    refuse_hard_declines: bool = True

    fee_basis_points: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Hundredths of a percent of what is captured."""
    fee_fixed_minor: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    outbox_kept_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Reconciliation looks for the events of the last day."""
    deliveries_kept_days: Annotated[int, Field(ge=1, le=3650)] = 30

    rate_limit_global_per_min: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    rate_limit_balance_per_min: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    rate_limit_transactions_per_min: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    rate_limit_login_per_min: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    rate_limit_console_transactions_per_min: Annotated[int, Field(ge=0, le=1_000_000)] = 120
    trusted_proxies: str = ""
    """Networks, by CIDR, whose `X-Forwarded-For` is believed: by default nobody's."""

    secret_key: SecretStr = SecretStr(DEV_SECRET)
    """Keys the HMACs: API keys, card fingerprints, idempotency fingerprints."""
    encryption_key: SecretStr = SecretStr(DEV_ENCRYPTION_KEY)
    """The key ring: `version:base64` of 32 bytes, comma-separated, the current one last."""
    webhook_secret: SecretStr = SecretStr(DEV_SECRET)

    dd_agent_host: str = "127.0.0.1"
    dd_trace_agent_port: int = 8126
    dd_dogstatsd_port: int = 8125
    dd_trace_enabled: bool = False
    dd_metrics_enabled: bool = Field(
        default=False, validation_alias=AliasChoices("DD_METRICS_ENABLED", "DD_DOGSTATSD_ENABLED")
    )
    dd_service: str = "cleartill"
    dd_env: str = "development"
    dd_version: str = "0.1.0"
    dd_site: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")] = "datadoghq.com"
    trace_url: Annotated[str, Field(pattern=r"^(https?://.*\{trace_id(_64)?\}.*)?$")] = ""
    """Where people look at a trace; empty: at `dd_site`, if traces are sent."""
    trace_keep_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    dd_dbm_propagation_mode: Literal["disabled", "service", "full"] = "full"
    """What SQL says in a comment, with tracing on. (ddtrace's own default is disabled, for the sake of databases that
    plan by a statement's text; PostgreSQL does not.)"""
    dd_data_streams_enabled: bool = False
    dd_profiling_enabled: bool = False
    dd_runtime_metrics_enabled: bool = False
    dd_trace_integrations: str = ""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_requests: bool = True
    log_to: Literal["stdout", "stderr"] = "stdout"

    worker_beat_path: str = ""
    """A worker touches it every 5 s, for the health checks of containers; empty: none."""
    drain_s: Annotated[float, Field(gt=0, le=120)] = 25.0
    drain_grace_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    """The first part of `drain_s`: everything is still served, unready, until balancers have noticed."""
    seed_demo: bool = True
    chaos_failpoints: str = ""
    """Where this process is to die, for the chaos harness (`failpoints`); refused in production."""

    @classmethod
    def read(cls) -> Self:
        """The settings of this environment. Raises pydantic.ValidationError, OSError for a secret's missing file."""
        from_files = {
            name: Path(file).read_text().strip()
            for name in _SECRETS
            if (file := os.environ.get(f"{name.upper()}_FILE")) and name.upper() not in os.environ
        }
        return cls(**from_files)  # type: ignore[arg-type]

    def hushed(self) -> Self:
        """The same for a command that a person runs and a program may read: its log tells of trouble only, and beside
        what the command has to say."""
        return self.model_copy(update={"log_level": "WARNING", "log_to": "stderr"})

    @property
    def rate_limits(self) -> dict[str, int]:
        """Requests a minute by rule; 0: no limit."""
        return {
            "global": self.rate_limit_global_per_min,
            "balance": self.rate_limit_balance_per_min,
            "transactions": self.rate_limit_transactions_per_min,
            "login": self.rate_limit_login_per_min,
            "console_transactions": self.rate_limit_console_transactions_per_min,
        }

    @property
    def trace_page(self) -> str | None:
        """Where people look at a trace: `{trace_id}` stands for its 32 hex digits, `{trace_id_64}` for the lower half
        of it in decimal, as Datadog's local agent has it. None if nowhere."""
        if self.trace_url or not self.dd_trace_enabled:
            return self.trace_url or None
        # Sites of the first hour are reached under app.; us3.datadoghq.com and its like by their own names.
        host = f"app.{self.dd_site}" if self.dd_site.count(".") == 1 else self.dd_site
        return f"https://{host}/apm/trace/{{trace_id}}"

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`TRUSTED_PROXIES`. Raises ValueError."""
        try:
            return tuple(ip_network(one) for one in filter(None, self.trusted_proxies.replace(" ", "").split(",")))
        except ValueError as error:
            raise ValueError(f"TRUSTED_PROXIES is networks like 10.1.0.0/16, comma-separated: {error}") from None

    @property
    def failover(self) -> dict[str, str]:
        """`PROVIDER_FAILOVER` as provider → whom to ask in its place. Raises ValueError."""
        rules: dict[str, str] = {}
        for rule in filter(None, self.provider_failover.replace(" ", "").split(",")):
            first, colon, other = rule.partition(":")
            if not (first and colon and other.isidentifier()) or first == other or first in rules:
                raise ValueError("PROVIDER_FAILOVER is first:other, comma-separated, each first once and not to itself")
            if other == "internal":
                raise ValueError("PROVIDER_FAILOVER: internal asks nobody for the money, and stands in for no one")
            rules[first] = other
        return rules

    @property
    def webhooks_to_loopback(self) -> bool:
        """`WEBHOOK_ALLOW_LOOPBACK`, but never in production."""
        return self.webhook_allow_loopback and self.env != "production"

    @property
    def webhook_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`WEBHOOK_ALLOW_NETWORKS`. Raises ValueError for what is no private network, and for one in which a cloud's
        metadata can be asked: whoever names the URL would be told the machine's own credentials."""
        networks: list[IPv4Network | IPv6Network] = []
        for written in filter(None, self.webhook_allow_networks.replace(" ", "").split(",")):
            try:
                network = ip_network(written)
            except ValueError as error:
                raise ValueError(
                    f"WEBHOOK_ALLOW_NETWORKS is networks like 10.1.0.0/16, comma-separated: {error}"
                ) from None
            if not any(network.version == one.version and network.subnet_of(one) for one in _PRIVATE):  # type: ignore[arg-type]
                raise ValueError(
                    f"WEBHOOK_ALLOW_NETWORKS: {network} is not a private network; each lies in one of "
                    f"{', '.join(map(str, _PRIVATE))}"
                )
            if metadata := [one for one in _METADATA if network.overlaps(one)]:
                raise ValueError(
                    f"WEBHOOK_ALLOW_NETWORKS: {network} holds {metadata[0].network_address}, where clouds "
                    "tell a machine its credentials; name the part that receivers are in"
                )
            networks.append(network)
        return tuple(networks)

    @model_validator(mode="after")
    def _sound_lists(self) -> Self:
        _ = self.failover, self.webhook_networks, self.proxies
        return self

    @model_validator(mode="after")
    def _time_to_drain(self) -> Self:
        if self.drain_grace_s >= self.drain_s:
            raise ValueError("DRAIN_GRACE_S is the first part of DRAIN_S, and must leave some of it")
        return self

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.env == "production" and (wrong := [*self._unfit()]):
            raise ValueError("\n".join(wrong))
        return self

    def _unfit(self) -> Iterator[str]:
        """All that production refuses, so that nobody has to find out one by one."""
        secrets = (self.secret_key, self.encryption_key, self.webhook_secret)
        if any(secret.get_secret_value() in (DEV_SECRET, DEV_ENCRYPTION_KEY, "") for secret in secrets):
            yield "production needs its own SECRET_KEY, ENCRYPTION_KEY and WEBHOOK_SECRET"
        if self.database_unsafe_durability or self.debug or self.seed_demo:
            yield "production refuses DATABASE_UNSAFE_DURABILITY, DEBUG and SEED_DEMO"
        if self.chaos_failpoints:
            yield "production refuses CHAOS_FAILPOINTS: they kill the process"
        if self.webhook_allow_loopback and "webhook_allow_loopback" in self.model_fields_set:
            yield "production refuses WEBHOOK_ALLOW_LOOPBACK: merchants would reach this machine"
        if self.stripe_secret_key.get_secret_value() and not self.stripe_api_base.startswith("https://"):
            yield "production sends cards by TLS only: STRIPE_API_BASE"
        bank = urlsplit(self.banking_api_url)
        if bank.scheme != "https" and (bank.scheme, bank.hostname) not in _HERE:
            yield "production sends cards by TLS only: BANKING_API_URL (or http to a proxy on this machine)"
        for name in ("database_url", "database_replica_url"):
            if not (url := getattr(self, name)):
                continue
            if urlsplit(url).password == DEV_DATABASE_PASSWORD:
                yield f"production needs a password of its own in {name.upper()}"
            if self.database_tls_required and not _encrypted(url):
                yield (
                    f"production asks for TLS in {name.upper()}: ?sslmode=verify-full&sslrootcert=system, or "
                    "DATABASE_TLS_REQUIRED=false where the network itself encrypts"
                )


def _encrypted(url: str) -> bool:
    """Whether this way to PostgreSQL is TLS or nothing; or a socket in the file system, which nobody else can read."""
    told = parse_qs(urlsplit(url).query)
    hosts = ",".join(told.get("host", [])).split(",")  # these are taken in place of the one before the path
    return all(host.startswith("/") for host in hosts) or told.get("sslmode", [""])[-1] in _ENCRYPTED
