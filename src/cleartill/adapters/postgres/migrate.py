"""Bring a database up to date, or back: Alembic, from code."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """To the newest revision. Safe to run from several places at once: an advisory lock lets one go first."""
    command.upgrade(_config(url), "head")


def reset(url: str) -> None:
    """Everything away, and the newest revision anew."""
    command.downgrade(_config(url), "base")
    command.upgrade(_config(url), "head")
