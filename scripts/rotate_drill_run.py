"""A new key for every card, under load: how scripts/rotate_drill goes about it, and what must be true in the end."""

import math
import random
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from secrets import token_bytes
from typing import Any

import psycopg2
from drill_load import PAY, Load, new_card
from drill_stack import Stack
from psycopg2.extras import Json, execute_values

from cleartill.adapters.aesgcm import AesGcmVault, KeyRing
from cleartill.domain.card import Card, Pan, SealedCard, Secret
from cleartill.domain.errors import CleartillError
from cleartill.domain.merchant import DEMO_MERCHANT_ID

PAN = "4242424242424242"
ERASE_EVERY = 25
LONG_S = 600.0
CHUNK = 5_000


@dataclass(frozen=True)
class Phase:
    name: str
    took_s: float
    payments: int
    failures: int
    p99_ms: float
    under: dict[int, int]
    """Cards by key, at its end."""


@dataclass
class Outcome:
    phases: list[Phase] = field(default_factory=list)
    kills: int = 0
    opened: int = 0
    wrong: list[str] = field(default_factory=list)


def fresh_keys() -> tuple[str, str]:
    return tuple(f"{version}:{b64encode(token_bytes(32)).decode()}" for version in (1, 2))  # type: ignore[return-value]


def fill(stack: Stack, ring: str, many: int) -> list[str]:
    """So many cards of the demo merchant, sealed under the ring's current key; their tokens."""
    vault, tokens = AesGcmVault(KeyRing.parse(ring), b"marks"), []
    card = Card(Pan(PAN), 12, 2034, None, Secret("Ada Lovelace"))
    with closing(psycopg2.connect(stack.told["DATABASE_URL"])) as connection, connection:
        for start in range(0, many, CHUNK):
            made = [vault.seal(card, DEMO_MERCHANT_ID) for _ in range(min(CHUNK, many - start))]
            tokens += [one.token for one in made]
            rows = [
                (one.merchant_id, one.token, one.key_version, one.sealed, Json(asdict(one.summary))) for one in made
            ]
            insert = "INSERT INTO card_vault (merchant_id, token, key_version, sealed, summary) VALUES %s"
            execute_values(connection.cursor(), insert, rows, page_size=500)
    return tokens


class Drill:
    """`say` hears each phase as it ends."""

    def __init__(
        self, stack: Stack, cards: int, rate: float, kills: int, seed: int, say: Callable[[str], None]
    ) -> None:
        self.stack, self.kills, self.say = stack, kills, say
        self.old, self.new = fresh_keys()
        self.outcome, self._chance = Outcome(), random.Random(seed)
        self.tokens = fill(stack, self.old, cards)
        self.erased = self.tokens[: cards // 10]
        self._payable = self.tokens[cards // 10 :]
        self.load = Load([], rate, self._order)
        self._erasing = iter(self.erased)
        self._sent_erased: list[str] = []

    def _order(self, number: int) -> tuple[str, str, Any]:
        """By turns a card that the vault has, and one that is typed in; now and then one is erased."""
        if number % ERASE_EVERY == 0 and (token := next(self._erasing, None)):
            self._sent_erased.append(token)
            return "DELETE", f"/api/v1/cards/{token}", None
        if number % 2:
            return new_card(number)
        amount = {"amount": "12.34", "currency": "USD", "payment_method": "credit_card"}
        return "POST", PAY, {**amount, "card_token": self._chance.choice(self._payable)}

    def under(self) -> dict[int, int]:
        return dict(self.stack.rows("SELECT key_version, count(*) FROM card_vault GROUP BY 1 ORDER BY 1"))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.load.phase, began = name, time.monotonic()
        yield
        took_s, calls = time.monotonic() - began, self.load.of(name)
        late = sorted(call.took_s for call in calls)
        p99_ms = late[math.ceil(len(late) * 0.99) - 1] * 1000 if late else 0.0
        failed = [call for call in calls if call.failed]
        self.outcome.wrong += [f"{name}: {call.what} was answered {call.status} {call.said}" for call in failed[:5]]
        self.outcome.phases.append(Phase(name, took_s, len(calls), len(failed), p99_ms, self.under()))
        self.say(f"{name}: {took_s:.1f} s, {len(calls)} calls, {len(failed)} failed")

    def restart(self, ring: str) -> None:
        """All processes, one after the other, each taken out of the balancer's list first."""
        for name, url in self.stack.apis.items():
            with self.load.without(url):
                self.stack.stop(name)
                self.stack.start_api(name, ENCRYPTION_KEY=ring)
        if "worker" in self.stack.children:
            self.stack.stop("worker")
            self.stack.start("worker", "work", ENCRYPTION_KEY=ring)

    def rotate(self, ring: str) -> None:
        """Killed again and again, when so much is done as chance will have it; in the end two at once finish it."""
        many = self.under()[1]
        for _ in range(self.kills):
            left = self.under().get(1, 0)
            goal = left - max(1, self._chance.randrange(many // (2 * self.kills) + 1))
            rotating = self.stack.start("rotate", "keys", "rotate", ENCRYPTION_KEY=ring)
            end = time.monotonic() + LONG_S
            while self.under().get(1, 0) > goal and rotating.exit_code is None and time.monotonic() < end:
                time.sleep(0.01)
            if rotating.exit_code is not None:
                self.outcome.wrong.append("a rotation was over before it could be killed")
            self.stack.kill("rotate")
            self.outcome.kills += 1
        if not self.under().get(1, 0):
            self.outcome.wrong.append("nothing was left when it was resumed")
        two = [self.stack.start(name, "keys", "rotate", ENCRYPTION_KEY=ring) for name in ("rotate", "rotate too")]
        self.outcome.wrong += [f"keys rotate failed:\n{one.tail()}" for one in two if one.wait(LONG_S) != 0]
        for one in two:
            del self.stack.children[one.name]

    def check(self) -> None:
        """The old key is free, and is said to be; every card opens without it; what was erased stays so."""
        wrong, ring = self.outcome.wrong, self.stack.run("keys", "ring", ENCRYPTION_KEY=f"{self.old},{self.new}")
        if "seals nothing" not in ring:
            wrong.append(f"the old key is not free:\n{ring}")
        vault = AesGcmVault(KeyRing.parse(self.new), b"marks")
        kept = self.stack.rows("SELECT token, merchant_id, key_version, sealed FROM card_vault")
        for token, merchant_id, version, sealed in kept:
            try:
                vault.open(SealedCard(token, merchant_id, version, bytes(sealed), None))  # type: ignore[arg-type]
                self.outcome.opened += 1
            except CleartillError as error:
                wrong.append(f"{token} does not open: {error}")
        tokens = {row[0] for row in kept}
        if back := tokens & set(self._sent_erased):
            wrong.append(f"{len(back)} erased cards came back")
        if lost := set(self._payable) - tokens:
            wrong.append(f"{len(lost)} cards are lost")


def whole_drill(drill: Drill) -> Outcome:
    """The steps of a new key on all processes, the rotation, and the end of the old key; under load throughout."""
    stack, load, both = drill.stack, drill.load, f"{drill.old},{drill.new}"
    load.urls += [stack.start_api(name, ENCRYPTION_KEY=drill.old) for name in ("api1", "api2")]
    stack.start("worker", "work", ENCRYPTION_KEY=drill.old)
    with ExitStack() as undo:
        undo.enter_context(load)
        with drill.phase("before"):
            time.sleep(5.0)
        with drill.phase("the new key opens"):
            drill.restart(f"{drill.new},{drill.old}")
        with drill.phase("the new key seals"):
            drill.restart(both)
        with drill.phase(f"rotation, {drill.kills} × killed"):
            drill.rotate(both)
        with drill.phase("the old key is gone"):
            drill.restart(drill.new)
            time.sleep(5.0)
    drill.check()
    return drill.outcome


def small_drill(drill: Drill) -> Outcome:
    """The rotation alone, under load, on one API process."""
    both = f"{drill.old},{drill.new}"
    drill.load.urls.append(drill.stack.start_api("api1", ENCRYPTION_KEY=both))
    with drill.load, drill.phase("rotation"):
        drill.rotate(both)
    drill.check()
    return drill.outcome
