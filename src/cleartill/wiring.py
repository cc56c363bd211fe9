"""The composition root: which adapter stands behind which port, and telemetry around all of them."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from cleartill.adapters.aesgcm import AesGcmVault, KeyRing
from cleartill.adapters.https import GuardedHttps
from cleartill.adapters.kafka import KafkaPublisher
from cleartill.adapters.postgres.backlog import PostgresBacklog
from cleartill.adapters.postgres.books import PostgresBooks
from cleartill.adapters.postgres.chain import PostgresAuditChain
from cleartill.adapters.postgres.engine import ConnectionPool, check_durability, check_rights, connect, open_link
from cleartill.adapters.postgres.ledger import PostgresLedger
from cleartill.adapters.postgres.listen import KeyListener
from cleartill.adapters.postgres.merchants import PostgresMerchants
from cleartill.adapters.postgres.minutes import PostgresMinutes
from cleartill.adapters.postgres.reads import PostgresReads
from cleartill.adapters.postgres.reconciliation import PostgresAudits
from cleartill.adapters.postgres.retention import PostgresRetention
from cleartill.adapters.postgres.sessions import PostgresSessions
from cleartill.adapters.postgres.stats import PostgresStats
from cleartill.adapters.postgres.subjects import PostgresSubjects
from cleartill.adapters.postgres.transfers import PostgresTransfers
from cleartill.adapters.postgres.webhooks import PostgresWebhooks
from cleartill.adapters.postgres.writer import Writer
from cleartill.adapters.redis import RedisBreakers
from cleartill.adapters.redis_limits import RedisLimiter
from cleartill.adapters.standard_webhooks import StandardWebhooks
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.ledger import Fees
from cleartill.domain.retention import KEPT, Perishable
from cleartill.failpoints import armed
from cleartill.ports import Clock, SystemClock, Till, Watch
from cleartill.providers import Means, Provider, enabled, verifiers
from cleartill.providers.guard import Guard
from cleartill.settings import Settings
from cleartill.telemetry import Extras, Level, MinuteRecorder, Pulse, Telemetry, telemetry

START_TRIES, START_PAUSE_S = 60, 1.0
PUBLISH_TIMEOUT_S = 10.0
"""Below the outbox lease (30 s): what was produced under a lease is reported, or purged, while it lasts."""
RECORDED = ("api", "worker")
"""The roles whose minutes are kept: processes that stay, not a person's commands."""


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
    minutes: MinuteRecorder | None = None
    till: Till = field(init=False)

    @asynccontextmanager
    async def running(self, start_tries: int = START_TRIES) -> AsyncIterator[Till]:
        """Start what runs in the background; at the end write what waits, then let go of everything, in turn.

        Raises MissingRight, UnsafeDurability, or BooksUnavailable: PostgreSQL is not there in `start_tries` seconds.
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
            if self.minutes is not None:
                closing.push_async_callback(self.minutes.close)
                self.minutes.start(self.till.minutes)
            self.writer.start()
            closing.push_async_callback(self.writer.close)
            pulse = Pulse(self.telemetry.watch, self._levels())
            closing.push_async_callback(pulse.close)
            pulse.start()
            closing.push_async_callback(self.guard.close)
            await self.guard.start()
            closing.push_async_callback(self.merchants.use.close)
            self.merchants.use.start()
            if self.listener is not None:
                closing.push_async_callback(self.listener.close)
                self.listener.start()
            yield self.till

    def _levels(self) -> list[Level]:
        return [
            Level("books.queue", {}, lambda: self.writer.waiting),
            Level("pool.busy", {"pool": "reads"}, lambda: self.pool.busy),
            Level("pool.busy", {"pool": "lists"}, lambda: self.for_lists.busy),
        ]

    async def _find_the_books(self, tries: int) -> None:
        """PostgreSQL may come up later than we do."""
        for left in reversed(range(tries)):
            try:
                await self.pool.run(check_rights)
                if not self.settings.database_unsafe_durability:
                    await self.pool.run(check_durability)
                break
            except BooksUnavailable:
                if not left:
                    raise
                await asyncio.sleep(START_PAUSE_S)


def build(settings: Settings, *, role: str) -> Assembly:
    """The parts for one process of ours, which leaves no core dump; `role` is what its connections call themselves."""
    # A crash must not write memory, and card numbers with it, to the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    minutes = MinuteRecorder(role) if role in RECORDED else None
    sight = sight_of(settings, minutes)
    watch = sight.watch
    engine = connect(settings.database_url, name=f"cleartill {role}", pool_size=settings.database_read_pool)
    comments = sight.comments(settings.database_url)
    pool = ConnectionPool(engine, settings.database_read_pool, watch, comments.here)
    providers, breakers = _providers(settings, sight), RedisBreakers(settings.redis_url, watch)
    merchants, listener = PostgresMerchants(pool), None
    if role == "api":  # nobody else asks for keys
        listener = KeyListener(connect(settings.database_url, name="cleartill keys", pool_size=1), merchants.cache)
    made = Assembly(
        settings=settings,
        telemetry=sight,
        writer=Writer(partial(open_link, settings.database_url, name=f"cleartill {role}"), watch, comments.of_unit),
        pool=pool,
        for_lists=_pool_for_lists(settings, role, sight),
        guard=_guard(settings, providers, breakers, watch, SystemClock()),
        breakers=breakers,
        limiter=RedisLimiter(settings.redis_url, watch),
        merchants=merchants,
        listener=listener,
        publisher=KafkaPublisher(
            settings.kafka_bootstrap_servers, settings.kafka_topic, message_timeout_s=PUBLISH_TIMEOUT_S, watch=watch
        ),
        courier=StandardWebhooks(
            GuardedHttps(loopback=settings.webhooks_to_loopback, networks=settings.webhook_networks),
            outgoing_headers=sight.letter_headers,
        ),
        providers=providers,
        minutes=minutes,
    )
    made.till = sight.observed(armed(_till(made), settings.chaos_failpoints))
    return made


def _till(made: Assembly) -> Till:
    settings, pool, lists = made.settings, made.pool, made.for_lists
    reads = PostgresReads(pool, lists, topic=settings.kafka_topic)
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
        retention=PostgresRetention(pool),
        minutes=PostgresMinutes(pool),
        stats=PostgresStats(lists),
        subjects=PostgresSubjects(pool),
        chain=PostgresAuditChain(pool),
        sessions=PostgresSessions(pool),
        kept=_kept(settings),
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
        asking=made.guard.asking,
    )


def _kept(settings: Settings) -> dict[Perishable, timedelta]:
    return {
        **KEPT,
        Perishable.EVENTS: timedelta(days=settings.outbox_kept_days),
        Perishable.DELIVERIES: timedelta(days=settings.deliveries_kept_days),
    }


def _pool_for_lists(settings: Settings, role: str, sight: Telemetry) -> ConnectionPool:
    """Of their own, whichever database they read: a long list must not keep a payment waiting for a connection."""
    size = settings.database_list_pool
    url = settings.database_replica_url or settings.database_url
    engine = connect(url, name=f"cleartill {role} lists", pool_size=size)
    return ConnectionPool(engine, size, sight.watch, sight.comments(url).here)


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


def sight_of(settings: Settings, minutes: MinuteRecorder | None = None) -> Telemetry:
    """Telemetry as the settings want it; once per process."""
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
        log_to=settings.log_to,
        minutes=minutes,
        extras=Extras(
            sql=settings.dd_dbm_propagation_mode,
            streams=settings.kafka_topic if settings.dd_data_streams_enabled else "",
            profiling=settings.dd_profiling_enabled,
            runtime_metrics=settings.dd_runtime_metrics_enabled,
            integrations=tuple(filter(None, settings.dd_trace_integrations.replace(" ", "").split(","))),
        ),
    )
