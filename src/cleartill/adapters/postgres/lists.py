"""Lists: a page at a time, newest first, by indexes that were there before anybody looked for a status.

A page walks an index down from where the last one ended: the primary key, or that of an order, a card, a payment. On
the way it looks at `look_at` rows at most and leaves out what does not fit; if it has not filled the page by then, the
next one goes on from there. So no filter costs more than that (20,000 looked at: 15 ms; three pending payments among a
million: 51 pages, 1.1 s), and none needs an index that would end the in-page updates (HOT) of every payment: one over
the status would find the three at once, but each payment changes its state at least twice, and each time would write
to all of its indexes.

A page is one statement, so it is of one moment. Where its walk ended is asked by another; a row committed in between
can only make that end lie higher, and what lies below it is left for the next page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, literal, select, text, union_all
from sqlalchemy.dialects.postgresql import JSONB

from cleartill.adapters.postgres import rows, tables
from cleartill.domain.ids import first_id
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports.lists import Listed, PaymentQuery, RefundQuery

_APART = timedelta(seconds=10)
"""An id is made a moment after its object's `created_at`; a clock that is set right in that moment is not set by
more."""

# PostgreSQL would rather fetch and sort all of a merchant's payments than walk down an index, if it has not counted
# them: 20,000 of them for each page of a database that was never analysed, and of a million after that.
_WALK = text("SET LOCAL enable_sort = off")

_Conditions = Sequence[ColumnElement[bool]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Walk:
    """`paths`: for each index to walk down, the conditions it can take. `fits`: those it cannot, on what was seen."""

    table: Table
    paths: Sequence[_Conditions]
    fits: Callable[[Any], _Conditions]
    query: PaymentQuery | RefundQuery

    @property
    def leaves_out(self) -> bool:
        return bool(self.fits(self.table.c))

    def page(self) -> Any:
        """The page and one row more, or all that fits of what may be looked at."""
        one_more = self.query.limit + 1
        if not self.leaves_out and len(self.paths) == 1:
            return self._down(self.paths[0]).limit(one_more)
        most = self.query.look_at if self.leaves_out else one_more
        seen = [self._down(path).limit(most).subquery() for path in self.paths]
        found = [select(part).where(*self.fits(part.c)) for part in seen]
        whole = found[0] if len(found) == 1 else union_all(*found)
        return whole.order_by(whole.selected_columns.id.desc()).limit(one_more)

    def ends(self) -> list[Any]:
        """For each path the last id that may be looked at, if it leads that far."""
        return [
            self._down(path).with_only_columns(self.table.c.id).offset(self.query.look_at - 1).limit(1)
            for path in self.paths
        ]

    def _down(self, path: _Conditions) -> Any:
        return select(self.table).where(*path).order_by(self.table.c.id.desc())


def payments(merchant_id: str, query: PaymentQuery) -> Callable[[Connection], Listed[Payment]]:
    t = tables.transactions.c
    by_id = [t.merchant_id == merchant_id, *_range("pay", t.id, query)]
    paths: list[_Conditions] = [by_id]
    if query.order_id is not None:
        # A path for each of them: walked together, all of an order's payments would have to be sorted.
        paths = [[*by_id, t.order_id == literal(given, JSONB)] for given in _order_ids(query.order_id)]
    elif query.last4 is not None:
        paths = [[*by_id, t.last4 == query.last4]]

    def fits(c: Any) -> _Conditions:
        more = [c.last4 == query.last4] if query.last4 and query.order_id is not None else []
        return [*more, *_fits(c, query)]

    return _reading(_Walk(tables.transactions, paths, fits, query), rows.payment_from)


def refunds(merchant_id: str, query: RefundQuery) -> Callable[[Connection], Listed[Refund]]:
    r = tables.refunds.c
    path = [r.merchant_id == merchant_id, *_range("ref", r.id, query)]
    if query.payment_id is not None:
        path.append(r.transaction_id == query.payment_id)
    return _reading(_Walk(tables.refunds, [path], lambda c: _fits(c, query), query), rows.refund_from)


def _order_ids(text: str) -> list[str | int]:
    """What a caller may have given as order_id that reads like this."""
    whole = int(text) if len(text) <= 19 and text.removeprefix("-").isdecimal() and text.isascii() else None
    return [text] if whole is None or str(whole) != text else [text, whole]


def _range(prefix: str, id: ColumnElement[str], query: PaymentQuery | RefundQuery) -> list[ColumnElement[bool]]:
    """The part of the index in which all lies that was created in time: ids begin with their time."""
    conditions = []
    if query.created_from is not None:
        conditions.append(id >= first_id(prefix, query.created_from - _APART))
    if query.created_to is not None:
        conditions.append(id < first_id(prefix, query.created_to + _APART))
    if query.before is not None:
        conditions.append(id < query.before)
    return conditions


def _fits(c: Any, query: PaymentQuery | RefundQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.statuses:
        conditions.append(c.status.in_(sorted(query.statuses)))
    if query.provider is not None:
        conditions.append(c.provider == query.provider)
    if query.created_from is not None:
        conditions.append(c.created_at >= query.created_from)
    if query.created_to is not None:
        conditions.append(c.created_at < query.created_to)
    return conditions


def _reading(walk: _Walk, made: Callable[[Any], _T]) -> Callable[[Connection], Listed[_T]]:
    limit = walk.query.limit

    def work(connection: Connection) -> Listed[_T]:
        connection.execute(_WALK)
        found = list(connection.execute(walk.page()))
        end = None
        if walk.leaves_out and (len(found) <= limit or len(walk.paths) > 1):
            ends = [connection.execute(one).scalar_one_or_none() for one in walk.ends()]
            end = max((one for one in ends if one is not None), default=None)
            if end is not None:  # below it, not every path has been looked at
                found = [row for row in found if row.id >= end]
        page = found[:limit]
        return Listed([made(row) for row in page], page[-1].id if len(found) > limit else end)

    return work
