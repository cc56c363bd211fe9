"""Facts of what is few and seldom changed: written one by one, in the transaction of the change itself."""

from collections.abc import Sequence

from sqlalchemy import Connection, null
from sqlalchemy.dialects.postgresql import insert

from cleartill.adapters.postgres import rows, tables
from cleartill.domain.events import Fact
from cleartill.ports import Hop, Origin


def write_facts(connection: Connection, facts: Sequence[Fact], origin: Origin, hops: Sequence[Hop] = ()) -> None:
    """Their audit rows, the first of them with the hops, and their events."""
    carried = [rows.hop_row(hop) for hop in hops]
    for fact in facts:
        audited = {**rows.audit_row(fact, origin, None), "hops": carried or null()}
        connection.execute(insert(tables.audit_logs).values(**audited))
        connection.execute(insert(tables.outbox).values(**rows.outbox_row(fact, origin)))
        carried = []
