"""Eyes below the ports, and records of work that no request started; null by default."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from secrets import token_hex
from typing import Protocol

from cleartill.ports.work import Origin


class Watch(Protocol):
    """Eyes below the ports: batches, pools, breakers. Names and tags are those of the telemetry catalogue."""

    def count(self, name: str, /, value: float = 1, **tags: str) -> None: ...

    def gauge(self, name: str, /, value: float, **tags: str) -> None: ...

    def observe(self, name: str, /, value: float, **tags: str) -> None:
        """One value of a distribution, in the unit the catalogue declares."""
        ...


class NoWatch:
    """Sees nothing, costs nothing."""

    def count(self, name: str, /, value: float = 1, **tags: str) -> None: ...

    def gauge(self, name: str, /, value: float, **tags: str) -> None: ...

    def observe(self, name: str, /, value: float, **tags: str) -> None: ...


class Flights(Protocol):
    def background(self, name: str, parent: Origin | None = None) -> AbstractContextManager[Origin]:
        """A piece of work that no request started, in its parent's trace if it has one."""
        ...


class NoFlights:
    """Work runs unrecorded."""

    @contextmanager
    def background(self, name: str, parent: Origin | None = None) -> Iterator[Origin]:
        trace_id = parent.trace_id if parent else token_hex(16)
        yield Origin(actor=name, request_id="", trace_id=trace_id, span_id=token_hex(8))
