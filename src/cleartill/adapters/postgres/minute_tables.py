"""The table of the processes' minutes; see `tables`."""

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB

from cleartill.adapters.postgres.schema import TIME, table

minutes = table(
    "minutes",
    instance=Text,
    number=BigInteger,
    revision=Integer,
    role=Text,
    minute=TIME,
    started_at=TIME,
    began_at=TIME,
    counts=JSONB,
    latencies=JSONB,
    gauges=JSONB,
    written_at=TIME,
)
