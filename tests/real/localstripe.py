"""localstripe (GPL, and no part of us): an environment of its own beside ours, made at first use, and its server."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cleartill.embedded.agent import install
from cleartill.embedded.child import Child, answers
from cleartill.embedded.scratch import free_port

ENVIRONMENT = Path(sys.prefix) / "localstripe"
REQUIREMENTS = Path(__file__).with_name("localstripe.lock")
APP = Path(__file__).with_name("localstripe_app.py")


def install_localstripe(scratch: Path) -> None:
    """Raises StartFailed if its environment cannot be made: no network."""
    install(ENVIRONMENT, scratch / "localstripe-installation.log", REQUIREMENTS)


@contextmanager
def localstripe(scratch: Path) -> Iterator[str]:
    """Its address, once it is installed."""
    log, port = scratch / "localstripe.log", free_port()
    server = Child(
        "localstripe",
        [ENVIRONMENT / "bin" / "python", "-P", APP, str(port)],
        log=log,
        env={"PATH": os.defpath},
        cwd=scratch,
    )
    try:
        server.wait_ready(lambda: answers(f"http://127.0.0.1:{port}/js.stripe.com/v3/"), 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
