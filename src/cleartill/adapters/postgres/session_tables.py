"""The table of the console's sessions; see `tables`."""

from sqlalchemy import Text

from cleartill.adapters.postgres.schema import TIME, table

sessions = table(
    "sessions", digest=Text, id=Text, merchant_id=Text, key_id=Text, created_at=TIME, used_at=TIME, expires_at=TIME
)
