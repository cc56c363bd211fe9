"""What our statements say of the trace they belong to, in a comment, as Datadog's Database Monitoring reads it.

Keys, their order and escaping are those of ddtrace's own `_DBM_Propagator` (sqlcommenter, keys sorted): `service` mode
says whose statement it is, `full` mode adds the `traceparent` of the span that the statement runs under. The comment
stands in front, for `pg_stat_activity` shows the beginning of a statement. It is part of the text that is sent, not of
what is prepared on the server: `/*…*/ EXECUTE write_batch (…)` runs the plans that are there.

A batch of the books writes many payments in one statement, which carries the trace of its first unit. Cost: 0.8 µs for
a comment, three or four in a payment, and 170 bytes on the wire each; a plan is never made for it.
"""

from urllib.parse import quote, urlsplit

from cleartill.ports import Unit
from cleartill.telemetry.correlation import here
from cleartill.telemetry.flight import current


class SqlComments:
    """For the statements on one database; `url` is its address. Unless `mode` is "service" or "full" they are empty."""

    def __init__(self, mode: str, url: str, *, service: str, env: str, version: str) -> None:
        address = urlsplit(url)
        said = {
            "dddb": address.path.lstrip("/"),
            "dddbs": service,
            "dde": env,
            "ddh": address.hostname or "",
            "ddps": service,
            "ddpv": version,
        }
        pairs = ",".join(f"{key}='{_quoted(value)}'" for key, value in said.items() if value)
        self._plain = f"/*{pairs}*/ " if mode in ("service", "full") else ""
        self._begin = f"/*{pairs},traceparent='" if mode == "full" else ""

    def here(self) -> str:
        """Of a statement that is about to be run for the work that is under way. Leaves word of it at its hop."""
        now = here.get()
        if not self._begin or now is None:
            return self._plain
        trace_id, span_id, keep, _ = now
        flight = current.get()
        if flight is not None and flight.hops and flight.hops[-1].span_id == int(span_id, 16):
            flight.hops[-1].in_sql = True
        return self._with(trace_id, span_id, keep)

    def of_unit(self, unit: Unit) -> str:
        """Of the statement that writes this unit and others. Leaves word that it was this one."""
        span_id = unit.stamps.get("span_id")
        if not self._begin or span_id is None:
            return self._plain
        unit.stamps["in_sql"] = True
        return self._with(unit.origin.trace_id, f"{span_id:016x}", unit.origin.keep)

    def _with(self, trace_id: str, span_id: str, keep: bool) -> str:
        return f"{self._begin}00-{trace_id}-{span_id}-{'01' if keep else '00'}'*/ "


def _quoted(value: str) -> str:
    """As sqlcommenter does: percent-encoded, and each `%` doubled for the driver, which halves them again."""
    return quote(value).replace("%", "%%")
