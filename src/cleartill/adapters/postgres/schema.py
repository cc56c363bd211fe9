"""What the migrations made, for SQLAlchemy Core: how a table is written down here."""

from typing import Any

from sqlalchemy import Column, DateTime, MetaData, Table

metadata = MetaData()
TIME = DateTime(timezone=True)


def table(name: str, /, **columns: Any) -> Table:
    """Its columns with their types; keys, checks and indexes are the migrations' alone."""
    return Table(name, metadata, *(Column(column, kind) for column, kind in columns.items()))
