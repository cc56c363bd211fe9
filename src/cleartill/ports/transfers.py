"""Money that waits: transfers with their workers' leases, and the ledger with its balances."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.ids import new_id
from cleartill.domain.ledger import Balance, Journal
from cleartill.domain.transfer import Transfer, TransferKind, TransferStatus
from cleartill.ports.backlog import Depth
from cleartill.ports.lists import LOOK_AT, Listed
from cleartill.ports.work import Hop, Origin


@dataclass(frozen=True, slots=True)
class TransferLease:
    """The right to work on one transfer for a while, by the database's clock. Who is late and finds that somebody else
    has been given a newer `epoch` can write nothing."""

    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Leased:
    """A transfer that is due, for one worker. `origin`: of the request that made it."""

    transfer: Transfer
    origin: Origin
    lease: TransferLease


@dataclass(slots=True)
class Turn:
    """Everything one step of one transfer writes: whole or not at all.

    `expecting` is the transfer's version as the step saw it (0: a new one); the transfer itself is given the next one
    here. `claim` is taken by this step; `answer` is stored under the transfer's own claim. `cover`: the journals must
    not drive the balance that they take from below zero. `lease`: nothing is written if it was lost. `again_in_s`:
    seconds, by the database's clock, until a worker looks at it next (None: none does), and the lease ends here;
    `goes_on`: instead, schedule and lease stay as they are.
    """

    transfer: Transfer
    expecting: int
    origin: Origin
    facts: Sequence[Fact] = ()
    journals: Sequence[Journal] = ()
    claim: Claim | None = None
    answer: Answer | None = None
    cover: bool = False
    lease: TransferLease | None = None
    again_in_s: float | None = None
    goes_on: bool = False
    hops: Sequence[Hop] = ()
    id: str = field(default_factory=lambda: new_id("unt"))

    def __post_init__(self) -> None:
        self.transfer.version = self.expecting + 1


class Fate(Enum):
    """What became of a turn."""

    RECORDED = "recorded"
    """It is on disk."""
    CONFLICT = "conflict"
    """Somebody else moved the transfer first: load it again and decide anew. Nothing was written."""
    KEY_TAKEN = "key_taken"
    """Something else holds the claim. Nothing was written."""
    LEASE_LOST = "lease_lost"
    """Another worker has it now. Nothing was written."""


@dataclass(frozen=True, slots=True)
class TransferQuery:
    """Which transfers of one kind; see PaymentQuery."""

    kind: TransferKind
    statuses: frozenset[TransferStatus] = frozenset()
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: str | None = None
    limit: int = 20
    look_at: int = LOOK_AT


class Transfers(Protocol):
    """Deposits and withdrawals. Everything but `list` reads the primary."""

    async def record(self, turn: Turn) -> Fate:
        """Raises InsufficientFunds (`cover`), NotFound, BooksUnavailable: nothing was written."""
        ...

    async def load(self, merchant_id: str, transfer_id: str) -> Transfer:
        """Raises NotFound."""
        ...

    async def find(self, transfer_id: str) -> Transfer:
        """Of whichever merchant, for a bank that knows none, and for operators. Raises NotFound."""
        ...

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        """What stands under this key, if anything; its `payment_id` is the transfer's."""
        ...

    async def due(self, owner: str, limit: int, lease_s: float) -> list[Leased]:
        """Transfers whose time has come and that nobody works on, leased to `owner` (FOR UPDATE SKIP LOCKED)."""
        ...

    async def list(self, merchant_id: str, query: TransferQuery) -> Listed[Transfer]:
        """A page, newest first; it may be of a moment ago."""
        ...

    async def dead(self, limit: int, before: str | None = None) -> Listed[Transfer]:
        """A page of the dead letters of all merchants, those with the highest ids first, only ids below `before`."""
        ...

    async def depths(self) -> Sequence[Depth]:
        """How many wait, and how many are dead letters."""
        ...


class Ledger(Protocol):
    async def balances(self, merchant_id: str) -> list[Balance]:
        """Each account of the merchant in each currency it has entries in, as of one moment, sorted."""
        ...

    async def roll_up(self, limit: int) -> int:
        """Add entries that wait to the balances they belong to; how many, of at most `limit` accounts. Any number of
        workers may do so at once."""
        ...
