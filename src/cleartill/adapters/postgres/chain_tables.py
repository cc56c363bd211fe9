"""The audit chain's own table: whose turn it is to seal, and how far the chain goes."""

from sqlalchemy import BigInteger, LargeBinary, SmallInteger, Text

from cleartill.adapters.postgres.schema import TIME, table

audit_chain = table(
    "audit_chain",
    one=SmallInteger,
    chain=Text,
    began_at=TIME,
    owner=Text,
    epoch=BigInteger,
    until=TIME,
    number=BigInteger,
    seal=LargeBinary,
    sealed_at=TIME,
    anchored=BigInteger,
    anchor_tried_at=TIME,
)
