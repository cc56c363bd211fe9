"""Where to: the DEPLOY_… of the environment or of .env, for one of the two places that releases go to."""

from pathlib import Path
from typing import Annotated, Literal, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from cleartill.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
AFTER_DRAIN_S = 20
"""Between DRAIN_S and SIGKILL: the last words of what is under way, events and traces that wait."""
Place = Literal["staging", "production"]


class _Said(BaseSettings):
    """What is said for both places, and for each."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_prefix="DEPLOY_", hide_input_in_errors=True)

    image: str = ""
    bind: str = "127.0.0.1:8080"
    secrets: str = "/etc/cleartill/secrets"
    ready_s: Annotated[float, Field(gt=0, le=900)] = 120.0
    watch_s: Annotated[float, Field(ge=0, le=3600)] = 60.0
    error_share: Annotated[float, Field(gt=0, le=1)] = 0.02
    errors_at_least: Annotated[int, Field(ge=1)] = 5
    staging_docker: str = ""
    staging_settings: str = ".env.staging"
    staging_admin_key: SecretStr = SecretStr("")
    prod_docker: str = ""
    prod_settings: str = ".env.production"
    prod_admin_key: SecretStr = SecretStr("")


class Refused(Exception):
    """A release that must not begin; the message says what to do."""


class Target:
    """One place. Raises Refused if something about it is missing, pydantic.ValidationError."""

    def __init__(self, place: Place, said: _Said) -> None:
        word = "prod" if place == "production" else place
        self.place, self.said = place, said
        self.docker: str = getattr(said, f"{word}_docker")
        self.settings = ROOT / getattr(said, f"{word}_settings")
        self.admin_key: str = getattr(said, f"{word}_admin_key").get_secret_value()
        if not self.docker:
            raise Refused(f"DEPLOY_{word.upper()}_DOCKER is to name a Docker context, or ssh://user@host")
        if not self.settings.is_file():
            raise Refused(f"{self.settings.name} is not there: the settings of {place}, like .env.example")
        if place == "production" and not self.admin_key:
            raise Refused("DEPLOY_PROD_ADMIN_KEY is missing: without it nobody watches the error rate")
        kept = dotenv_values(self.settings).get("DRAIN_S") or Settings.model_fields["drain_s"].default
        self.stop_grace_s = int(float(kept)) + AFTER_DRAIN_S

    @classmethod
    def read(cls, place: Place) -> Self:
        return cls(place, _Said())

    @property
    def words(self) -> list[str]:
        """`docker` and who is meant."""
        return ["docker", "--host" if "://" in self.docker else "--context", self.docker]
