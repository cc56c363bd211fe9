"""The composition root: which adapter stands behind which port, and telemetry around all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from cleartill.adapters.aesgcm import AesGcmVault, KeyRing
from cleartill.adapters.https import GuardedHttps
from cleartill.adapters.kafka import KafkaPublisher
from cleartill.adapters.postgres.backlog import PostgresBacklog
from cleartill.adapters.postgres.books import PostgresBooks
from cleartill.adapters.postgres.engine import ConnectionPool, check_durability, connect
from cleartill.adapters.postgres.ledger import PostgresLedger
from cleartill.adapters.postgres.listen import KeyListener
from cleartill.adapters.postgres.merchants import PostgresMerchants
from cleartill.adapters.postgres.reads import PostgresReads
from cleartill.adapters.postgres.reconciliation import PostgresAudits
from cleartill.adapters.postgres.transfers import PostgresTransfers
from cleartill.adapters.postgres.webhooks import PostgresWebhooks
from cleartill.adapters.postgres.writer import Writer
from cleartill.adapters.redis import RedisBreakers
from cleartill.adapters.redis_limits import RedisLimiter
from cleartill.adapters.standard_webhooks import StandardWebhooks
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.ledger import Fees
from cleartill.ports import Clock, SystemClock, Till, Watch
from cleartill.providers import Means, Provider, enabled, verifiers
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
    telemetry: Telemetry
    writer: Writer
    pool: ConnectionPool
    for_lists: ConnectionPool
    guard: Guard
    breakers: RedisBreakers
    limiter: RedisLimiter
    merchants: PostgresMerchants
    listener: KeyListener | None
    publisher: KafkaPublisher
    courier: StandardWebhooks
    providers: dict[str, Provider]
    till: Till = field(init=False)

    @asynccontextmanager
    async def running(self, start_tries: int = START_TRIES) -> AsyncIterator[Till]:
        """Start what runs in the background; at the end write what waits, then let go of everything, in turn.

        Raises UnsafeDurability, or BooksUnavailable if PostgreSQL cannot be reached in `start_tries` seconds.
        """
        async with AsyncExitStack() as closing:
            closing.callback(self.telemetry.close)
            closing.callback(self.pool.close)
            closing.callback(self.for_lists.close)
            closing.callback(self.publisher.close)
            closing.push_async_callback(self.breakers.close)
            closing.push_async_callback(self.limiter.close)
            closing.push_async_callback(self.courier.close)
            for provider in self.providers.values():
                closing.push_async_callback(provider.close)
            await self._find_the_books(start_tries)
            self.writer.start()
            closing.callback(self.writer.close)
            closing.push_async_callback(self.guard.close)
            await self.guard.start()
            closing.push_async_callback(self.merchants.use.close)
            self.merchants.use.start()
            if self.listener is not None:
                closing.push_async_callback(self.listener.close)
                self.listener.start()
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
    watch = sight.watch
    engine = connect(settings.database_url, name=f"cleartill {role}", pool_size=settings.database_read_pool + 1)
    pool = ConnectionPool(engine, settings.database_read_pool, watch)
    providers, breakers = _providers(settings, sight), RedisBreakers(settings.redis_url, watch)
    merchants, listener = PostgresMerchants(pool), None
    if role == "api":  # nobody else asks for keys
        listener = KeyListener(connect(settings.database_url, name="cleartill keys", pool_size=1), merchants.cache)
    made = Assembly(
        settings=settings,
        telemetry=sight,
        writer=Writer(engine, watch),
        pool=pool,
        for_lists=_pool_for_lists(settings, role, watch),
        guard=_guard(settings, providers, breakers, watch, SystemClock()),
        breakers=breakers,
        limiter=RedisLimiter(settings.redis_url, watch),
        merchants=merchants,
        listener=listener,
        publisher=KafkaPublisher(
            settings.kafka_bootstrap_servers, settings.kafka_topic, message_timeout_s=PUBLISH_TIMEOUT_S, watch=watch
        ),
        courier=StandardWebhooks(GuardedHttps(loopback=settings.webhooks_to_loopback)),
        providers=providers,
    )
    made.till = sight.observed(_till(made))
    return made


def _till(made: Assembly) -> Till:
    settings, pool, lists = made.settings, made.pool, made.for_lists
    reads = PostgresReads(pool, lists)
    keys = KeyRing.parse(settings.encryption_key.get_secret_value())
    return Till(
        books=PostgresBooks(pool, made.writer),
        reads=reads,
        merchants=made.merchants,
        limiter=made.limiter,
        backlog=PostgresBacklog(pool),
        vault=AesGcmVault(keys, settings.secret_key.get_secret_value().encode()),
        providers=made.guard,
        publisher=made.publisher,
        webhooks=PostgresWebhooks(pool),
        courier=made.courier,
        audits=PostgresAudits(pool),
        transfers=PostgresTransfers(pool, lists),
        ledger=PostgresLedger(pool),
        watch=made.telemetry.watch,
        flights=made.telemetry.flights,
        probes={
            "database": reads.ping,
            "bank": made.providers["bank"].ping,
            "kafka": made.publisher.ping,
            "redis": made.breakers.ping,
        },
        provider_names=frozenset(made.providers),
        verifiers=verifiers(
            settings.webhook_secret.get_secret_value(),
            settings.stripe_webhook_secret.get_secret_value(),
            production=settings.env == "production",
        ),
        failover=_failover(settings, frozenset(made.providers)),
        refuse_hard_declines=settings.refuse_hard_declines,
        fees=Fees(settings.fee_basis_points, settings.fee_fixed_minor),
        budget_s=settings.request_budget_s,
    )


def _pool_for_lists(settings: Settings, role: str, watch: Watch) -> ConnectionPool:
    """Of their own, whichever database they read: a long list must not keep a payment waiting for a connection."""
    size = settings.database_list_pool
    url = settings.database_replica_url or settings.database_url
    return ConnectionPool(connect(url, name=f"cleartill {role} lists", pool_size=size), size, watch)


def _providers(settings: Settings, sight: Telemetry) -> dict[str, Provider]:
    return enabled(
        Means(
            settings.banking_api_url,
            sight.outgoing_headers,
            production=settings.env == "production",
            payer_url=settings.payer_url,
            stripe_secret_key=settings.stripe_secret_key.get_secret_value(),
            stripe_api_base=settings.stripe_api_base,
        )
    )


def _guard(
    settings: Settings, providers: dict[str, Provider], breakers: RedisBreakers, watch: Watch, clock: Clock
) -> Guard:
    return Guard(
        providers,
        in_flight=settings.bank_in_flight,
        failures=settings.breaker_failures,
        open_s=settings.breaker_open_s,
        breakers=breakers,
        watch=watch,
        clock=clock,
    )


def _failover(settings: Settings, names: frozenset[str]) -> dict[str, str]:
    """Raises ValueError for a provider that is not enabled: the day of the failure is too late to learn of it."""
    strangers = ({*settings.failover} | {*settings.failover.values()}) - names
    if strangers:
        raise ValueError(f"PROVIDER_FAILOVER names providers that are not enabled: {', '.join(sorted(strangers))}")
    return settings.failover


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
