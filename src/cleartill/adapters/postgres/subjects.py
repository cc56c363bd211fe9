"""The Subjects port: by an id alone, which no key begins with. PostgreSQL skips from merchant to merchant in the key's
index, or reads the table: good enough for a person, and never asked for a request."""

from sqlalchemy import text

from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.errors import NotFound
from cleartill.ports import Subject

_OF = {
    "pay": text("SELECT merchant_id, id FROM transactions WHERE id = :id LIMIT 1"),
    "ref": text("SELECT merchant_id, transaction_id AS id FROM refunds WHERE id = :id LIMIT 1"),
    "dep": text("SELECT merchant_id, id FROM transfers WHERE id = :id LIMIT 1"),
    "wdr": text("SELECT merchant_id, id FROM transfers WHERE id = :id LIMIT 1"),
}


class PostgresSubjects:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def of(self, id: str) -> Subject:
        query = _OF.get(id.partition("_")[0])
        if query is None or "\0" in id:
            raise NotFound
        row = await self._pool.run(lambda connection: connection.execute(query, {"id": id}).one_or_none())
        if row is None:
            raise NotFound
        return Subject(row.merchant_id, row.id)
