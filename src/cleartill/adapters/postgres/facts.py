"""Facts of what is few and seldom changed: written one by one, in the transaction of the change itself."""

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from cleartill.adapters.postgres import rows, tables
from cleartill.domain.events import Fact
from cleartill.ports import Origin


def write_facts(connection: Connection, facts: Sequence[Fact], origin: Origin) -> None:
    """Their audit rows and their events."""
    for fact in facts:
        connection.execute(insert(tables.audit_logs).values(**rows.audit_row(fact, origin, None)))
        connection.execute(insert(tables.outbox).values(**rows.outbox_row(fact, origin)))
