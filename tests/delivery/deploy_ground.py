"""Releases to one place, on a Docker that writes down what it is told."""

import io
from pathlib import Path
from typing import Any

from deploy.engine import Engine
from deploy.release import Release
from deploy.slots import Slots
from deploy.target import Target, _Said
from docker_engine import Told
from rich.console import Console

SETTINGS = "SECRET_KEY_FILE=/run/secrets/secret_key\nDRAIN_S=30\n"


class Ground:
    """Releases to one place, in this process."""

    def __init__(self, told: Told, settings: Path, place: Any = "production") -> None:
        said = _Said(
            _env_file=None,  # type: ignore[call-arg]
            prod_docker="ssh://deploy@target",
            prod_settings=str(settings),
            prod_admin_key="the admin's key",  # type: ignore[arg-type]
            staging_docker="staging",
            staging_settings=str(settings),
            ready_s=0.02,
            watch_s=0.004,
        )
        self.told, self.target, self.out = told, Target(place, said), io.StringIO()

    def release(self, tag: str, run: Any = None, *, dry: bool = False) -> Release:
        say = Console(file=self.out, soft_wrap=True, highlight=False)
        engine = Engine(self.target, say, dry=dry, run=run or self.told.run)
        return Release(self.target, tag, engine, Slots(self.target, engine), say)
