"""The load of scripts/chaos: shoppers and back offices that pay, capture, void, refund, deposit and withdraw, race each
other, hang up and ask again. What each of them does is decided by a seed."""

import asyncio
import contextlib
from collections.abc import Callable
from random import Random
from typing import Any

from chaos_history import Call, Client

APPROVED = ("4111111111111111", "4242424242424242", "5555555555554444", "378282246310005")
DECLINED = ("4000000000000002", "4000000000009995", "4000000000006975")
FAULTY = {
    "4000000000009011": "timeout before",
    "4000000000009029": "timeout after",
    "4000000000009508": "bank 500",
    "4000000000009045": "reset",
    "4000000000009060": "malformed",
    "4000000000009003": "slow",
}
SHARES = {"charge": 0.62, "twin": 0.08, "two steps": 0.18, "deposit": 0.04, "withdrawal": 0.04, "hang up": 0.04}
PAUSE_S = 0.02
MERCHANT = "merchant_123"


def amount(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


class Load:
    """`shoppers` at once, each one order after the other, as long as `may_go_on` lets them. `stop` ends it."""

    def __init__(self, client: Client, seed: int, shoppers: int) -> None:
        self._client, self._seed, self._shoppers = client, seed, shoppers
        self.history = client.history
        self.may_go_on: Callable[[], bool] = lambda: True
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    async def run(self) -> None:
        """Until stopped; what is under way is brought to its end."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._shoppers):
                tasks.create_task(self._shop(Random(f"{self._seed}-{number}")))

    async def _shop(self, random: Random) -> None:
        scenes = {
            "charge": self._charge,
            "twin": self._twin,
            "two steps": self._two_steps,
            "deposit": self._transfer,
            "withdrawal": self._transfer,
            "hang up": self._hang_up,
        }
        while not self._stopping:
            if not self.may_go_on():
                await asyncio.sleep(PAUSE_S)
                continue
            self.history.orders += 1
            scene = random.choices(list(SHARES), list(SHARES.values()))[0]
            await scenes[scene](random, scene, self.history.orders)

    # ── scenes ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _charge(self, random: Random, _: str, order: int) -> None:
        await self._after(random, await self._client.until_known(self._charging(random, order)))

    async def _twin(self, random: Random, _: str, order: int) -> None:
        """The same key in both processes at once."""
        call = self._charging(random, order)
        await asyncio.gather(self._client.send(call, 0), self._client.send(call, 1))
        await self._after(random, await self._client.until_known(call))

    async def _hang_up(self, random: Random, _: str, order: int) -> None:
        """The client is gone in mid-call, and asks again later, or never."""
        call = self._charging(random, order)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._client.send(call), random.uniform(0.001, 0.06))
        if random.random() < 0.7:
            await self._client.until_known(call)

    async def _two_steps(self, random: Random, _: str, order: int) -> None:
        body: dict[str, Any] = {"order_id": order, "card_data": self._card(random), "capture_method": "manual"}
        body |= {"amount": amount(random.randint(100, 99_999)), "currency": "USD"}
        created = await self._client.until_known(self.history.call("create", "/api/v1/payments", body, order))
        if created.seen is None:
            return
        path = f"/api/v1/payments/{created.seen}"
        confirmed = await self._client.until_known(self.history.call("confirm", f"{path}/confirm", {}, order))
        if confirmed.final is None or confirmed.told["status"] != "authorized":
            return
        held = confirmed.told["amount_minor"]
        taken = held if random.random() < 0.5 else random.randint(1, held)
        capture = self.history.call("capture", f"{path}/capture", {"amount": amount(taken)}, order)
        void = self.history.call("void", f"{path}/void", {}, order)
        draw = random.random()
        if draw < 0.4:
            await self._client.until_known(capture)
        elif draw < 0.6:
            await self._client.until_known(void)
        else:
            await asyncio.gather(self._client.until_known(capture), self._client.until_known(void))
        await self._after(random, capture)

    async def _transfer(self, random: Random, scene: str, order: int) -> None:
        body = {"amount": amount(random.randint(100, 50_000)), "currency": "USD", "metadata": {"order": order}}
        await self._client.until_known(self.history.call(scene, f"/api/v1/{scene}s", body, order))

    # ── parts of them ─────────────────────────────────────────────────────────────────────────────────────────────

    def _charging(self, random: Random, order: int) -> Call:
        body: dict[str, Any] = {"order_id": order, "card_data": self._card(random), "payment_method": "credit_card"}
        body |= {"amount": amount(random.randint(100, 99_999)), "currency": "USD"}
        return self.history.call("charge", "/api/v1/payments/process", body, order)

    @staticmethod
    def _card(random: Random) -> dict[str, Any]:
        draw = random.random()
        numbers = APPROVED if draw < 0.9 else DECLINED if draw < 0.97 else tuple(FAULTY)
        number = random.choice(numbers)
        told = {"card_number": number, "expiry_month": 12, "expiry_year": 2034, "cardholder_name": "Ada Lovelace"}
        return told | {"cvv": "1234" if number.startswith("3") else "123"}

    async def _after(self, random: Random, paid: Call) -> None:
        """Some of what was paid goes back: whole, in part, or by several clients at once."""
        if paid.final is None or paid.told["status"] != "captured" or random.random() > 0.3:
            return
        told = paid.told
        captured, path = told["amount_captured_minor"], f"/api/v1/payments/{told['id']}/refund"
        draw = random.random()
        if draw < 0.3:
            bodies: list[dict[str, Any]] = [{}]
        elif draw < 0.6:
            bodies = [{"amount": amount(random.randint(1, captured))}]
        else:
            bodies = [{"amount": amount(max(1, captured * 6 // 10))} for _ in range(random.randint(2, 4))]
        calls = [self.history.call("refund", path, body, paid.order) for body in bodies]
        await asyncio.gather(*(self._client.until_known(call) for call in calls))
