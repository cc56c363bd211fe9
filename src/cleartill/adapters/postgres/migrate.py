"""Bring a database up to date, or back: Alembic, from code."""

import logging
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg2 import errors
from sqlalchemy.exc import OperationalError

TRIES, PAUSE_S = 120, 0.5
log = logging.getLogger(__name__)


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """To the newest revision, while the release before it serves. Safe to run from several places at once: an advisory
    lock lets one go first. Where a lock is not to be had at once, it is asked for again, `TRIES` times; each migration
    that is done stays done. Raises sqlalchemy.exc.OperationalError."""
    for left in reversed(range(TRIES)):
        try:
            command.upgrade(_config(url), "head")
            return
        except OperationalError as error:
            if not isinstance(error.orig, errors.LockNotAvailable) or not left:
                raise
            log.warning("a table is in use; the migration is tried again in %.1f s", PAUSE_S)
            time.sleep(PAUSE_S)


def reset(url: str) -> None:
    """Everything away, and the newest revision anew."""
    command.downgrade(_config(url), "base")
    command.upgrade(_config(url), "head")
