"""Settings, read from the environment once. Only asgi, cli and wiring import this; everyone else is handed values."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEV_SECRET = "cleartill-development-only"
DEV_ENCRYPTION_KEY = "1:Y2xlYXJ0aWxsLWRldmVsb3BtZW50LW9ubHktMzJieXQ="
_SECRETS = ("secret_key", "encryption_key", "webhook_secret", "database_url", "redis_url")


class Settings(BaseSettings):
    """Every setting with its safe default; the names are the environment's, in upper case.

    A secret may also come from a file: `SECRET_KEY_FILE`, `ENCRYPTION_KEY_FILE`, `WEBHOOK_SECRET_FILE`,
    `DATABASE_URL_FILE`, `REDIS_URL_FILE`. Production refuses the development secrets.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    env: Literal["development", "test", "staging", "production"] = "development"
    debug: bool = False
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8000
    api_processes: Annotated[int, Field(ge=1, le=64)] = 1

    database_url: Annotated[str, Field(repr=False)] = "postgresql://cleartill:cleartill@127.0.0.1:5432/cleartill"
    database_read_pool: Annotated[int, Field(ge=1, le=64)] = 4
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
    trace_keep_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_requests: bool = True

    drain_s: Annotated[float, Field(gt=0, le=120)] = 25.0
    seed_demo: bool = True

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
        """The same for a command that a person runs and reads: its log tells of trouble only."""
        return self.model_copy(update={"log_level": "WARNING"})

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.env == "production":
            secrets = (self.secret_key, self.encryption_key, self.webhook_secret)
            if any(secret.get_secret_value() in (DEV_SECRET, DEV_ENCRYPTION_KEY, "") for secret in secrets):
                raise ValueError("production needs its own SECRET_KEY, ENCRYPTION_KEY and WEBHOOK_SECRET")
            if self.database_unsafe_durability or self.debug or self.seed_demo:
                raise ValueError("production refuses DATABASE_UNSAFE_DURABILITY, DEBUG and SEED_DEMO")
        return self
