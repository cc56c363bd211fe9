"""The tables of money that waits; see `tables`."""

from sqlalchemy import BigInteger, Boolean, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB

from cleartill.adapters.postgres.schema import TIME, table

balances = table("balances", merchant_id=Text, account=Text, currency=Text, amount_minor=BigInteger)

transfers = table(
    "transfers",
    merchant_id=Text,
    id=Text,
    kind=Text,
    status=Text,
    amount_minor=BigInteger,
    currency=Text,
    provider=Text,
    description=Text,
    metadata=JSONB,
    claim=JSONB,
    origin=JSONB,
    round=Integer,
    attempts=Integer,
    faults=Integer,
    unsure=Boolean,
    accepted_at=TIME,
    bank_reference=Text,
    error=JSONB,
    needs_review=Text,
    dead=Text,
    next_at=TIME,
    lease_owner=Text,
    lease_epoch=BigInteger,
    lease_until=TIME,
    trace_id=Text,
    version=Integer,
    seq=Integer,
    unit_id=Text,
    created_at=TIME,
    updated_at=TIME,
)

transfer_tries = table("transfer_tries", merchant_id=Text, transfer_id=Text, version=Integer, hops=JSONB)
