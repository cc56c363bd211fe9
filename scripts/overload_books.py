"""The scenes of scripts/overload in which PostgreSQL goes away under load, and comes back."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
from chaos_stack import GONE_WITHIN_S
from game_day_stack import kill
from overload_judge import Figure, Told, agreed, manners, ms, percentile
from overload_load import CARD
from overload_scenes import BACK_WITHIN_S, Stage, after
from overload_stack import Eye

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.lock import InUse

WRITER = "SELECT pid FROM pg_stat_activity WHERE application_name = 'cleartill api' LIMIT 1"


def postgres_restarted(stage: Stage) -> list[Figure]:
    """PostgreSQL is stopped in good order and started again."""

    def restart() -> None:
        stage.ground.postgres.stop()
        stage.ground.postgres.start()

    return _books_away(stage, restart)


def postgres_killed(stage: Stage) -> list[Figure]:
    """PostgreSQL is killed, all of it, and started again."""

    def restart() -> None:
        kill(stage.ground.postgres)
        end = time.monotonic() + GONE_WITHIN_S
        while True:
            try:
                stage.ground.postgres.start()
                return
            except InUse:  # by what it has started, which ends when it notices
                if time.monotonic() > end:
                    raise

    return _books_away(stage, restart)


def backend_killed(stage: Stage) -> list[Figure]:
    """One session of PostgreSQL is killed: it ends all others, recovers, and is back by itself."""

    def restart() -> None:
        os.kill(stage.ground.rows(WRITER)[0][0], signal.SIGKILL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(Exception):
                stage.ground.rows("SELECT 1")
                return
            time.sleep(0.02)

    return _books_away(stage, restart)


def _books_away(stage: Stage, restart: Callable[[], None]) -> list[Figure]:
    with Eye(stage.ground) as eye, stage.under("books", stage.half) as tolds:
        time.sleep(2.0)
        away_at = time.monotonic()
        restart()
        back_at = time.monotonic()
        time.sleep(BACK_WITHIN_S + 1.0)
    told = tolds[0]
    back = told.back_after(back_at, 0.9 * stage.half)
    live = percentile((took for _, took, _ in eye.live), 0.99)
    return [
        Figure("away", "", f"{back_at - away_at:.1f} s", None),
        Figure("serving again", f"≤ {BACK_WITHIN_S:.0f} s", after(back), back is not None and back <= BACK_WITHIN_S),
        Figure("p99 of liveness", "≤ 100 ms", ms(live), live <= 0.1),
        asked_again(stage, told),
        *manners(told, 202),
        *agreed(stage.ground, stage.book, told),
    ]


def asked_again(stage: Stage, told: Told) -> Figure:
    """No refusal is stored: the same keys are charged when they are sent again."""
    refused = [
        number for number, status in zip(told.calls["number"], told.calls["status"], strict=True) if status == 503
    ]
    answers: list[Any] = []
    for number in refused[:: max(1, len(refused) // 20)]:
        key = f"{told.run}-{number:07d}"
        body = {"amount": "12.34", "currency": "USD", "payment_method": "credit_card", "order_id": key}
        body |= {"card_data": CARD, "metadata": {"cart": "c1", "n": 3}}
        headers = {"Authorization": f"Bearer {DEMO_API_KEY}", "Idempotency-Key": key}
        url = next(iter(stage.ground.apis.values())) + "/api/v1/payments/process"
        answers.append(httpx.post(url, json=body, headers=headers, timeout=15).status_code)
        if answers[-1] == 201:
            told.calls["status"][told.calls["number"].index(number)] = 201
    stored = [status for status in answers if status != 201]
    return Figure(
        "refusals kept under their keys",
        "none",
        f"{len(stored)} of {len(answers)} asked again",
        not stored,
        timed=False,
    )
