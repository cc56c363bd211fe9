"""Deposits and withdrawals as tests begin them, with or without workers."""

import json
from dataclasses import dataclass
from typing import Any

from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.idempotency import Answer
from cleartill.domain.ids import new_id
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.outcome import Approved
from cleartill.domain.transfer import Transfer, TransferKind
from cleartill.ports import Callback, Origin, Till
from cleartill.usecases.execute_transfer import execute_transfer
from cleartill.usecases.receive_callback import receive_callback
from cleartill.usecases.transfer import TransferRequest, transfer

ORIGIN = Origin(actor="key_1", request_id="req_1", trace_id="ab" * 16, span_id="cd" * 8)
SAID_AGAIN = 20
DEPOSIT, WITHDRAWAL = TransferKind.DEPOSIT, TransferKind.WITHDRAWAL


@dataclass
class TransferDesk:
    """`owner`: the worker that carries them out."""

    till: Till
    owner: str = "worker-1"

    async def begin(
        self, kind: TransferKind, amount_minor: int = 700, key: str | None = None, **changes: Any
    ) -> Answer:
        asked: dict[str, Any] = {"currency": "USD", "description": None, "metadata": {}, **changes}
        key = key or new_id("key")
        order = TransferRequest(
            merchant_id=DEMO_MERCHANT_ID, kind=kind, amount_minor=amount_minor, idempotency_key=key, **asked
        )
        return await transfer(self.till, order, ORIGIN)

    async def make(self, kind: TransferKind, amount_minor: int = 700) -> Transfer:
        made = json.loads((await self.begin(kind, amount_minor)).body)
        return await self.now(made["id"])

    async def work(self) -> int:
        return await execute_transfer(self.till, self.owner)

    async def now(self, transfer: Transfer | str) -> Transfer:
        return await self.till.transfers.find(transfer if isinstance(transfer, str) else transfer.id)

    async def hear(self, of: Transfer, outcome: Any, event_id: str = "evt_1", **more: Any) -> None:
        """The bank says so on its own, and again while the books cannot take it (it is told 503)."""
        reference, provider = more.pop("reference", of.reference), more.pop("provider", "bank")
        said = Callback(event_id, of.id, reference, outcome, **more)
        for left in reversed(range(SAID_AGAIN)):
            try:
                await receive_callback(self.till, provider, said, ORIGIN)
                return
            except BooksUnavailable:
                if not left:
                    raise

    async def fund(self, amount_minor: int) -> None:
        """A deposit that has succeeded."""
        made = await self.make(DEPOSIT, amount_minor)
        await self.work()
        await self.hear(made, Approved("bnk_fund", "bnk_fund"), new_id("evt"))

    async def balance(self, account: str = "merchant") -> int:
        found = await self.till.ledger.balances(DEMO_MERCHANT_ID)
        return sum(one.amount_minor for one in found if one.account == account)

    async def total(self) -> int:
        return sum(one.amount_minor for one in await self.till.ledger.balances(DEMO_MERCHANT_ID))
