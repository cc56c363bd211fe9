"""Logs: one JSON object per line on standard output, for our own records and for every library's lines alike.

Fields are those of `catalog.LOG_FIELDS`; log_line.schema.json says what each looks like. A request writes one line
when all its work has ended, a recorded fact one when it is on disk. Whatever a line holds of the outside passes the
scrubber first; the ids that we make ourselves are put in afterwards, so that a span id of sixteen digits is never taken
for a card. No exception locals, no query strings, no bodies; an exception shows its type, its message (scrubbed) and
the places it passed.

A line is made by whoever logs (5 to 15 µs) and written by a thread, many at a time: a slow pipe blocks nobody. The
queue holds MAX_WAITING lines; beyond, lines are dropped and counted. A killed process may lose its last PAUSE_S.
"""

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import sleep, time
from types import TracebackType
from typing import Any

import orjson

from cleartill.domain.events import Fact
from cleartill.ports import Turn, Unit
from cleartill.telemetry.flight import DESERVING, Flight
from cleartill.telemetry.scrub import scrub

MAX_WAITING = 20_000
PAUSE_S = 0.1
MAX_MESSAGE = 8_192
MAX_PLACES = 20
_BATCH = 500

_OPTIONS = orjson.OPT_NON_STR_KEYS
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_HEX = frozenset("0123456789abcdef")


class Outlet:
    """A bounded queue of lines and the thread that writes them to a file descriptor."""

    def __init__(self, fd: int, dropped: Callable[[], None]) -> None:
        self._fd, self._dropped = fd, dropped
        self._lines: deque[bytes] = deque()
        self._some, self._closing = threading.Event(), False
        self._thread = threading.Thread(target=self._write, name="log-outlet", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # what a process dies of is its last line

    def put(self, line: bytes) -> None:
        """Hands a line over, or drops it if too many are waiting. Never waits."""
        if len(self._lines) >= MAX_WAITING:
            self._dropped()
            return
        self._lines.append(line)
        if not self._some.is_set():
            self._some.set()

    def close(self, within_s: float = 2.0) -> None:
        """Write what is waiting, for so long at most; lines that come later are lost."""
        self._closing = True
        self._some.set()
        self._thread.join(within_s)
        atexit.unregister(self.close)

    def _write(self) -> None:
        lines = self._lines
        while True:
            self._some.wait()
            if not self._closing:
                sleep(PAUSE_S)
            self._some.clear()
            while lines:
                if not self._put_out(b"".join(lines.popleft() for _ in range(min(len(lines), _BATCH)))):
                    return
            if self._closing:
                return

    def _put_out(self, chunk: bytes) -> bool:
        left = memoryview(chunk)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                sleep(PAUSE_S)
            except OSError:  # nobody reads any more
                return False
        return True


class JsonLines:
    """Makes lines. `scrubbed` is told of each line that something was taken out of."""

    def __init__(self, *, service: str, env: str, version: str, scrubbed: Callable[[], None]) -> None:
        self._unified = orjson.dumps({"service": service, "env": env, "version": version})[1:]
        self._scrubbed = scrubbed

    def line(self, at: float, level: str, fields: dict[str, Any], trace_id: str = "", span_id: str = "") -> bytes:
        """One line with its line break. `fields` may hold anything; the ids are ours, or not written."""
        said = orjson.dumps(fields, str, _OPTIONS)
        clean = scrub(said)
        if clean is not said:
            self._scrubbed()
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6]
        ids = f'"trace_id":"{trace_id}",' if _is_hex(trace_id, 32) else ""
        if ids and _is_hex(span_id, 16):
            ids += f'"span_id":"{span_id}",'
        head = f'{{"time":"{when}Z","level":"{level}",{ids}'.encode()
        return b"%b%b,%b\n" % (head, clean[1:-1], self._unified)


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and _HEX.issuperset(text)


class Handler(logging.Handler):
    """The one handler: every library's lines through the same formatter."""

    def __init__(self, lines: JsonLines, outlet: Outlet) -> None:
        super().__init__()
        self._lines, self._outlet = lines, outlet

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"event": "log", "logger": record.name, "message": _message(record)}
            extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
            trace_id = str(extra.get("trace_id", ""))
            if _is_hex(trace_id, 32):
                del extra["trace_id"]
            if "request_id" in extra:
                fields["request_id"] = str(extra.pop("request_id"))
            if extra:
                fields["extra"] = extra
            if record.exc_info:
                fields["error"] = _error(*record.exc_info)
            self._outlet.put(self._lines.line(record.created, record.levelname.lower(), fields, trace_id))
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A line that cannot be made must say so, and nothing of what was in it."""
        self._outlet.put(self._lines.line(record.created, "error", {"event": "log", "message": "unprintable line"}))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()[:MAX_MESSAGE]
    except Exception:
        return str(record.msg)[:MAX_MESSAGE]


def _error(kind: Any, error: BaseException | None, trace: TracebackType | None) -> dict[str, Any]:
    """Type, message and the places it passed, innermost first: no source lines, no locals."""
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    name = getattr(kind, "__name__", str(kind))
    return {"type": name, "message": str(error)[:MAX_MESSAGE], "places": places[::-1][:MAX_PLACES]}


_QUIET = ("/health", "/console")
"""In the routes of those who ask all the time, or for thirty files at once, and move nothing."""


class Records:
    """Our own lines: requests, pieces of work, facts, of level info, or error for work that went wrong; `level` is the
    least that is written. `requests`: whether ordinary ones are; facts that must be looked at do not depend on it."""

    def __init__(self, lines: JsonLines, outlet: Outlet, *, requests: bool, level: str = "INFO") -> None:
        self._lines, self._outlet = lines, outlet
        self._informs = logging.getLevelNamesMapping()[level] <= logging.INFO
        self._ordinary = requests and self._informs

    def render(self, flight: Flight) -> None:
        """A flight's line."""
        failed = flight.outcome == "error"
        visit = flight.visit
        quiet = not flight.hops if visit is None else any(part in visit.route for part in _QUIET)
        if not failed and (quiet or not self._ordinary):
            return
        hops: dict[str, float] = {}
        for leg in flight.hops:
            hops[leg.name] = round(hops.get(leg.name, 0.0) + max(0, leg.end_ns - leg.start_ns) / 1e6, 3)
        fields: dict[str, Any] = {"event": "request" if visit else flight.name, "outcome": flight.outcome}
        if visit is not None:
            fields |= {"route": visit.route, "status": flight.status, "request_id": visit.request_id}
            fields |= {"actor": visit.actor, "merchant_id": visit.merchant_id, "subject_id": visit.subject_id}
            fields["problem_code"] = visit.problem_code
        else:
            fields["subject_id"] = flight.about.get("payment_id")
        for name in ("provider", "brand", "currency", "amount_minor", "decline_code"):
            fields[name] = flight.about.get(name)
        fields["error"] = flight.error
        fields["duration_ms"] = round((flight.end_ns - flight.start_ns) / 1e6, 3)
        fields["hops"] = hops
        said = {name: value for name, value in fields.items() if value not in (None, "", {})}
        level = "error" if failed else "info"
        self._outlet.put(self._lines.line(time(), level, said, flight.trace_id, f"{flight.span_id:016x}"))

    def fact(self, fact: Fact, unit: Unit | Turn) -> None:
        """The line of a fact that is on disk."""
        if not self._informs or (not self._ordinary and fact.type not in DESERVING):
            return
        seen = fact.data  # the object right after this fact; the unit may hold later ones
        fields = {
            "event": fact.type,
            "request_id": unit.origin.request_id,
            "actor": unit.origin.actor,
            "merchant_id": fact.merchant_id,
            "subject_id": fact.subject_id,
            "event_id": fact.id,
            "sequence": fact.seq,
            "status": seen["status"],
            "amount_minor": seen["amount_minor"],
            "currency": seen["currency"],
            "provider": seen["provider"],
            "decline_code": (seen.get("decline") or {}).get("code"),
        }
        origin = unit.origin
        said = {name: value for name, value in fields.items() if value is not None}
        self._outlet.put(self._lines.line(time(), "info", said, origin.trace_id, origin.span_id))


@contextmanager
def taken_over(handler: Handler, level: str) -> Iterator[None]:
    """Every line of this process goes through `handler`: all loggers, warnings, exceptions nobody caught.

    uvicorn's access log is off: requests have lines of their own, and its lines hold query strings.
    """
    root, log = logging.getLogger(), logging.getLogger("cleartill")
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "ddtrace"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: log.critical("uncaught", exc_info=(kind, error, trace))
    threading.excepthook = lambda args: log.critical(
        "uncaught in a thread", exc_info=(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    )
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:], level_before, sys.excepthook, threading.excepthook = before
        root.setLevel(level_before)
