"""Comments in front of statements, that say whose they are; what they say is handed in.

psycopg2 sends a statement as text, and what is prepared on the server is called by name: a comment is never part of
what PostgreSQL plans.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event

from cleartill.ports import Unit

OfWork = Callable[[], str]
"""Asked where the work is, before it is handed to a thread."""
OfUnit = Callable[[Unit], str]


def no_comment(*_: Unit) -> str:
    """Statements go as they are."""
    return ""


def write_comments(engine: Engine) -> None:
    """Statements by this engine begin with their connection's execution option `comment`."""

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _begin(
        connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        return connection.get_execution_options().get("comment", "") + statement, parameters
