"""The composition root: which adapter stands behind which port, and telemetry around all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from cleartill.adapters.aesgcm import AesGcmVault, KeyRing
from cleartill.adapters.kafka import KafkaPublisher
from cleartill.adapters.postgres.backlog import PostgresBacklog
from cleartill.adapters.postgres.books import PostgresBooks
from cleartill.adapters.postgres.engine import ConnectionPool, check_durability, connect
from cleartill.adapters.postgres.reads import PostgresReads
from cleartill.adapters.postgres.writer import Writer
from cleartill.adapters.redis import RedisBreakers
from cleartill.domain.errors import BooksUnavailable
from cleartill.ports import SystemClock, Till
from cleartill.providers import PROVIDERS, Means, Provider
from cleartill.providers.guard import Guard
from cleartill.settings import Settings
from cleartill.telemetry import Telemetry, telemetry

START_TRIES, START_PAUSE_S = 60, 1.0
PUBLISH_TIMEOUT_S = 10.0
"""Below the outbox lease (30 s): what was produced under a lease is reported, or purged, while it lasts."""


@dataclass(slots=True)
class Assembly:
    """A till and what it is made of. `till` may be used inside `running()`."""

    settings: Settings
    till: Till
    telemetry: Telemetry
    writer: Writer
    pool: ConnectionPool
    guard: Guard
    breakers: RedisBreakers
    publisher: KafkaPublisher
    providers: list[Provider]

    @asynccontextmanager
    async def running(self, start_tries: int = START_TRIES) -> AsyncIterator[Till]:
        """Start what runs in the background; at the end write what waits, then let go of everything, in turn.

        Raises UnsafeDurability, or BooksUnavailable if PostgreSQL cannot be reached in `start_tries` seconds.
        """
        async with AsyncExitStack() as closing:
            closing.callback(self.telemetry.close)
            closing.callback(self.pool.close)
            closing.callback(self.publisher.close)
            closing.push_async_callback(self.breakers.close)
            for provider in self.providers:
                closing.push_async_callback(provider.close)
            await self._find_the_books(start_tries)
            self.writer.start()
            closing.callback(self.writer.close)
            closing.push_async_callback(self.guard.close)
            await self.guard.start()
            yield self.till

    async def _find_the_books(self, tries: int) -> None:
        """PostgreSQL may come up later than we do."""
        check = (lambda _: None) if self.settings.database_unsafe_durability else check_durability
        for left in reversed(range(tries)):
            try:
                await self.pool.run(check)
                break
            except BooksUnavailable:
                if not left:
                    raise
                await asyncio.sleep(START_PAUSE_S)


def build(settings: Settings, *, role: str) -> Assembly:
    """The parts for one process of ours; `role` is what its connections call themselves."""
    sight = _sight(settings)
    watch, clock = sight.watch, SystemClock()
    engine = connect(settings.database_url, name=f"cleartill {role}", pool_size=settings.database_read_pool + 1)
    pool = ConnectionPool(engine, settings.database_read_pool, watch)
    writer = Writer(engine, watch)
    means = Means(settings.banking_api_url, sight.outgoing_headers)
    providers = {name: make(means) for name, make in PROVIDERS.items()}
    breakers = RedisBreakers(settings.redis_url, watch)
    guard = Guard(
        providers,
        in_flight=settings.bank_in_flight,
        failures=settings.breaker_failures,
        open_s=settings.breaker_open_s,
        breakers=breakers,
        watch=watch,
        clock=clock,
    )
    publisher = KafkaPublisher(
        settings.kafka_bootstrap_servers, settings.kafka_topic, message_timeout_s=PUBLISH_TIMEOUT_S, watch=watch
    )
    reads = PostgresReads(pool)
    till = Till(
        books=PostgresBooks(pool, writer),
        reads=reads,
        backlog=PostgresBacklog(pool),
        vault=AesGcmVault(
            KeyRing.parse(settings.encryption_key.get_secret_value()), settings.secret_key.get_secret_value().encode()
        ),
        providers=guard,
        publisher=publisher,
        clock=clock,
        watch=watch,
        flights=sight.flights,
        probes={
            "database": reads.ping,
            "bank": providers["bank"].ping,
            "kafka": publisher.ping,
            "redis": breakers.ping,
        },
        budget_s=settings.request_budget_s,
    )
    return Assembly(
        settings=settings,
        till=sight.observed(till),
        telemetry=sight,
        writer=writer,
        pool=pool,
        guard=guard,
        breakers=breakers,
        publisher=publisher,
        providers=list(providers.values()),
    )


def _sight(settings: Settings) -> Telemetry:
    return telemetry(
        service=settings.dd_service,
        env=settings.dd_env,
        version=settings.dd_version,
        agent_host=settings.dd_agent_host,
        trace_port=settings.dd_trace_agent_port,
        statsd_port=settings.dd_dogstatsd_port,
        traces=settings.dd_trace_enabled,
        metrics=settings.dd_metrics_enabled,
        keep_share=settings.trace_keep_share,
        log_level="DEBUG" if settings.debug else settings.log_level,
        log_requests=settings.log_requests,
    )
