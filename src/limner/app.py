"""The composition root: the only module that imports every room. Builds a worker, starts it, drains it."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from limner.auth.address_keys import AddressKeyFile, AddressKeys
from limner.auth.claims import ClaimNames
from limner.auth.jwks import JwksFile, JwksHttps
from limner.auth.local_key import LocalKey
from limner.auth.verifier import JwtVerifier
from limner.catalogue import LoadedModels, default_models, load_models
from limner.domain.errors import LimnerError
from limner.domain.identifiers import new_id
from limner.domain.image import Retention
from limner.domain.limits import MAX_IMAGES_PER_TASK, MIB
from limner.domain.usage import Quota
from limner.imaging.codec import PillowCodec
from limner.imaging.derivatives import PillowDeriver
from limner.liveness import WorkerLocks
from limner.persistence import schema
from limner.persistence.repository import SqlRepository
from limner.rpc.call import current_call
from limner.rpc.server import RpcServer
from limner.rpc.servicer import ImageServicer
from limner.service import instruments, tracing
from limner.service.addresses import SignedAddresses
from limner.service.catalogue import Catalogue
from limner.service.clock import Clock, SharedClock, utc_now
from limner.service.contents import Contents
from limner.service.instruments import Recorder
from limner.service.library import ImageLibrary
from limner.service.marks import Marks
from limner.service.notifications import Notifier
from limner.service.ports import AddressSigner, BlobStore, ForeignAddresses, ImageModel, TokenVerifier, WebhookSender
from limner.service.provenance import ProvenanceReader
from limner.service.retention import Keeper
from limner.service.stores import Stores
from limner.service.sweeper import Sweeper
from limner.service.tasks import Pace, Rules, TaskRunner
from limner.settings import Settings
from limner.storage.filesystem import FileBlobStore
from limner.storage.observed import ObservedBlobStore
from limner.storage.spool import FileSpool
from limner.vitals import CLOSED, BreakerVitals, Vitals, keep_telling
from limner.web.console import console_door
from limner.web.content import content_door
from limner.web.door import Door
from limner.web.mcp import mcp_door
from limner.web.openai import openai_door
from limner.web.probes import Readiness, probes
from limner.web.reference import reference_door
from limner.web.server import WebServer

if TYPE_CHECKING:
    from limner.models.http.breaker import BreakerSnapshot

log = logging.getLogger(__name__)

CPU_COUNT = os.cpu_count() or 1
_DERIVING: Final = max(1, CPU_COUNT // 2)
"""How many pictures are made smaller at a time. The other half is for what was paid for."""

_CLOCK_INTERVAL_S: Final = 10.0
_LEEWAY_S: Final = 30.0
"""How far the clock of whoever issues tokens may differ from ours."""

_QUOTA_INTERVAL_S: Final = 60.0
_ANSWERS_S: Final = 4.0
"""The last of a drain, at most half of it: what is not done is ended, and its callers are told."""

_FETCHING_S: Final = 1.0
"""How long the last caller who was answered has to fetch what was made."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker listens."""

    host: str
    port: int
    private: bool = False
    """Whether only the gateway beside it calls there, on this machine: then without TLS."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Worker:
    """One process's share of the service: everything but the gateway."""

    def __init__(
        self,
        settings: Settings,
        models: Sequence[ImageModel] | None = None,
        *,
        clock: SharedClock | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._settings = settings
        self._id = new_id()
        self._locks = worker_locks(settings)
        self._verifier = token_verifier(settings)
        self._models = load_models(settings.models) if models is None else LoadedModels(models)
        self._catalogue = build_catalogue(settings, self._models.models)
        self._clock = clock or SharedClock()
        self._stores = build_stores(settings, clock=self._clock)
        self._webhooks = webhook_sender(settings)
        rules = task_rules(settings, self._webhooks.workspaces if self._webhooks else frozenset())
        rules = replace(rules, pace=pace or rules.pace)
        self._tasks = TaskRunner(
            self._catalogue, self._stores, rules, worker_id=self._id, dead_workers=self._locks.dead
        )
        self._library = ImageLibrary(self._stores, quota=rules.quota, decoded_at_once=max(1, CPU_COUNT - 1))
        self._provenance = ProvenanceReader(self._stores)
        self._contents = Contents(self._stores, PillowDeriver(threads=_DERIVING), at_once=_DERIVING)
        self._addresses = SignedAddresses(
            self._contents,
            address_signer(settings),
            self._stores.clock,
            foreign=foreign_addresses(settings),
            public_url=settings.public_url,
        )
        servicer = ImageServicer(
            self._tasks, self._library, self._catalogue, self._contents, self._addresses, self._provenance
        )
        self._server = RpcServer(servicer, self._verifier)
        self.doors = self._build_doors()
        self._web = WebServer(self.doors, self._verifier, drain_timeout_s=_answers_s(settings))
        self._chores: list[asyncio.Task[None]] = []
        self._quota = rules.quota
        self._retention = Retention(settings.retention_days)
        self._quota_used = 0.0

    def _build_doors(self) -> tuple[Door, ...]:
        readiness = Readiness((("database", self._stores.repository.check), ("storage", self._stores.blobs.check)))
        agents, self._mcp = mcp_door(self._tasks, self._library, self._contents, self._catalogue)
        return (
            probes(readiness, lambda: self._web.is_draining()),
            content_door(self._contents, self._addresses),
            reference_door(),
            console_door(),
            openai_door(
                self._tasks,
                self._library,
                self._contents,
                self._catalogue,
                self._provenance,
                scratch=self._settings.data_dir,
                sign=self._signed_url,
            ),
            agents,
        )

    async def _signed_url(self, workspace_id: str, image_id: str) -> str:
        return (await self._addresses.sign(workspace_id, image_id, origin=current_call().origin)).url

    async def start(self, addresses: Sequence[Address], web_addresses: Sequence[Address] = ()) -> None:
        """Listen on all addresses, of gRPC and of HTTP, and begin to answer."""
        self._locks.hold(self._id)
        await self._stores.repository.check()
        has_clock = await self._clock.look(self._stores.repository.time)
        for address in addresses:
            self._server.listen(str(address), None if address.private else self._settings.tls)
        await self._server.start()
        await self._web.start([(address.host, address.port) for address in web_addresses])
        self._chores = [
            asyncio.create_task(self._tasks.keep_leases(), name="leases"),
            asyncio.create_task(self._tasks.heed_cancellations(), name="cancellations"),
            asyncio.create_task(self._library.keep_purging(), name="purge"),
            asyncio.create_task(Keeper(self._library, self._retention).keep_expiring(), name="retention"),
            asyncio.create_task(Sweeper(self._stores, reclaim=self._tasks.reclaim).keep_sweeping(), name="sweep"),
            asyncio.create_task(keep_telling(self._locks, self._id, self._vitals), name="vitals"),
        ]
        if self._settings.metrics_port is not None:
            self._chores.append(asyncio.create_task(self._keep_looking_at_quotas(), name="quotas"))
        if has_clock:
            self._chores.append(asyncio.create_task(self._keep_time(), name="clock"))
        if self._webhooks is not None:
            notifier = Notifier(self._stores.repository, self._webhooks, self._stores.clock)
            self._chores.append(asyncio.create_task(notifier.keep_notifying(), name="webhooks"))

    async def stop(self) -> None:
        """Let the running work end, tell all who wait how it ended, and release everything.

        It says first that it is not ready, for as long as whoever sends calls needs to see it. Then new tasks are
        refused, and other calls answered to the end, so that what was just made can be fetched. The last of the
        deadline is for answers: gRPC cancels at its end whatever is open, without a word.
        """
        if self._chores:
            self._web.drain()
            await self._server.leave()
            await asyncio.sleep(self._settings.drain_delay_s)
        drain_s = self._settings.drain_timeout_s
        deadline = asyncio.get_running_loop().time() + drain_s
        answers_s = _answers_s(self._settings)
        if await self._tasks.drain(drain_s - answers_s, ending_s=answers_s / 2):
            left_s = deadline - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0, min(_FETCHING_S, left_s - answers_s / 4)))
        left_s = max(0, deadline - asyncio.get_running_loop().time())
        await asyncio.gather(self._server.stop(left_s), self._web.stop())
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        if self._webhooks is not None:
            await self._webhooks.close()
        await self._models.close()
        await self._mcp.close()
        self._contents.close()
        await self._stores.close()
        await self._verifier.close()
        self._locks.release(self._id)

    async def _keep_looking_at_quotas(self) -> None:
        while True:
            with suppress(LimnerError):  # the database is down: others tell that
                self._quota_used = await self._stores.repository.fullest_quota(self._quota, self._stores.clock())
            await asyncio.sleep(_QUOTA_INTERVAL_S)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_INTERVAL_S)
            with suppress(LimnerError):  # the database is down: then nothing is leased
                await self._clock.look(self._stores.repository.time)

    def _vitals(self) -> Vitals:
        now = utc_now()
        breakers = tuple(_breaker_vitals(each, now) for each in self._models.breaker_snapshots())
        refused = tuple(sorted(self._models.refused_fields().items()))
        runs = self._tasks.in_flight
        return Vitals(
            in_flight=runs, leased=runs, quota_used=self._quota_used, breakers=breakers, refused_fields=refused
        )


def _breaker_vitals(snapshot: "BreakerSnapshot", now: datetime) -> BreakerVitals:
    return BreakerVitals(
        provider=snapshot.provider,
        model=snapshot.model,
        consecutive_failures=snapshot.consecutive_failures,
        open_until=None if snapshot.state == CLOSED else now + timedelta(seconds=snapshot.retry_after_s),
    )


def _answers_s(settings: Settings) -> float:
    return min(_ANSWERS_S, settings.drain_timeout_s / 2)


def worker_locks(settings: Settings) -> WorkerLocks:
    """Return what tells which workers of the data directory live."""
    return WorkerLocks(settings.data_dir / "workers")


def build_stores(settings: Settings, *, clock: Clock = utc_now) -> Stores:
    """Return where the pictures and facts go, to be closed by the caller."""
    return Stores(
        repository=SqlRepository(database_url(settings)),
        blobs=blob_store(settings),
        spool=spool(settings),
        codec=PillowCodec(threads=CPU_COUNT, queue=settings.max_in_flight),
        clock=clock,
        marks=picture_marks(settings),
    )


def picture_marks(settings: Settings) -> Marks | None:
    """Return what signs pictures and reads marks; ``None`` where it is not installed."""
    if find_spec("c2pa") is None:
        return None
    # Imported when there: certificates take their time and memory.
    from limner.certificates import load_anchors, load_identity
    from limner.provenance.marks import C2paMarks

    watermarks = None
    if settings.watermark != "off":
        from limner.provenance.pixels import Watermarks

        watermarks = Watermarks(threads=CPU_COUNT, queue=MAX_IMAGES_PER_TASK * settings.max_in_flight)
    return C2paMarks(
        identity=load_identity(settings.c2pa_cert, settings.c2pa_key) if settings.c2pa_cert else None,
        anchors_pem=load_anchors(settings.c2pa_trust_anchors) if settings.c2pa_trust_anchors else "",
        authority_url=settings.c2pa_tsa_url,
        told=frozenset(settings.c2pa_include),
        wraps=settings.c2pa_over_provider == "wrap",
        watermarks=watermarks,
        threads=CPU_COUNT,
        queue=MAX_IMAGES_PER_TASK * settings.max_in_flight,
    )


def task_rules(settings: Settings, notified_workspaces: frozenset[str] = frozenset()) -> Rules:
    """Return what the operator decided about tasks."""
    money = settings.quota_usd_per_month
    return Rules(
        max_in_flight=settings.max_in_flight,
        quota=Quota(
            images=settings.quota_images_per_month, cost_micros=None if money is None else round(money * 1_000_000)
        ),
        price_ceiling_micros=round(settings.price_ceiling_usd * 1_000_000),
        keys_kept=timedelta(hours=settings.idempotency_hours),
        notified_workspaces=notified_workspaces,
    )


def webhook_sender(settings: Settings) -> WebhookSender | None:
    """Return what tells receivers of the end of generations; ``None`` when no webhooks are configured.

    Raises ``WebhooksError`` with all that is wrong with the file.
    """
    if settings.webhooks is None:
        return None
    # Imported when chosen: an http client takes its time and memory.
    from limner.outbound.resolver import NameLookup, PublicResolver
    from limner.rpc.printing import generation_json
    from limner.webhooks.configuration import configured_webhooks
    from limner.webhooks.sender import HttpWebhookSender

    webhooks = configured_webhooks(settings.webhooks)
    return HttpWebhookSender(webhooks, generation_json, PublicResolver(NameLookup("webhook-names")))


def spool(settings: Settings) -> FileSpool:
    """Return where paid pictures wait for a storage that is down; before one that is not on this machine, always."""
    root = settings.data_dir / "spool"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileSpool(
        root,
        goes_first=settings.storage.startswith("gs://"),
        max_bytes=settings.spool_max_mib * MIB,
        min_free_bytes=settings.min_free_mib * MIB,
    )


def build_catalogue(settings: Settings, models: Sequence[ImageModel]) -> Catalogue:
    """Return the catalogue of these models, with the defaults that the operator chose."""
    return Catalogue(models, default_models(models, settings.default_generate_model, settings.default_edit_model))


def address_signer(settings: Settings) -> AddressSigner:
    """Return what signs addresses of pictures: by the keys of the settings, or else by those of the data directory.

    Raises ``AddressKeyError`` when they can't be used.
    """
    if settings.url_keys:
        return AddressKeys.of_texts(settings.url_keys)
    return AddressKeyFile(settings.data_dir)


def foreign_addresses(settings: Settings) -> ForeignAddresses | None:
    """Return what makes addresses of the storage itself; ``None`` where ours are used."""
    if settings.signed_urls != "gcs":
        return None
    store = _blob_store(settings)
    assert isinstance(store, ForeignAddresses)
    return store


def claim_names(settings: Settings) -> ClaimNames:
    """Return how the claims of the access tokens are called."""
    return ClaimNames(
        user=settings.auth_user_claim,
        workspaces=settings.auth_workspaces_claim,
        admin=settings.auth_admin_claim,
    )


def local_key(settings: Settings) -> LocalKey:
    """Return the key of the data directory, made when it is missing."""
    return LocalKey.of_directory(
        settings.data_dir,
        claim_names=claim_names(settings),
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )


def token_verifier(settings: Settings) -> TokenVerifier:
    """Return what checks access tokens: by the configured key set, or else by the local key.

    The local key's tokens are dated by this machine's own clock, so they end when they say.
    """
    default_leeway_s = _LEEWAY_S if settings.auth_jwks else 0.0
    return JwtVerifier(
        key_source(settings),
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        claim_names=claim_names(settings),
        leeway_s=default_leeway_s if settings.auth_leeway_s is None else settings.auth_leeway_s,
    )


def observe(settings: Settings) -> Callable[[], None]:
    """Let this process count and trace what happens, when somebody looks at it.

    Returns what sends the rest at the end, which blocks.
    """
    recorders: list[Recorder] = []
    close: Callable[[], None] = lambda: None  # noqa: E731
    # Imported when chosen: the libraries take their time and memory.
    if settings.metrics_port is not None:
        from limner.metrics.recorder import PrometheusRecorder

        recorders.append(PrometheusRecorder())
    if collector_is_set():
        from limner.otel import Telemetry

        telemetry = Telemetry()
        tracing.trace_with(telemetry.tracer)
        recorders += [telemetry.recorder] if telemetry.recorder else []
        close = telemetry.close
    instruments.record_with(*recorders)
    return close


def collector_is_set(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether there is a collector of OpenTelemetry, and nobody switched it off."""
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    names = ("", "TRACES_", "METRICS_")
    return not disabled and any(environment.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT") for name in names)


def blob_store(settings: Settings) -> BlobStore:
    """Return where the bytes of pictures go."""
    return ObservedBlobStore(_blob_store(settings))


def images_folder(settings: Settings) -> Path | None:
    """Return the folder of the pictures' bytes; ``None`` when they are in a bucket."""
    if settings.storage.startswith("gs://"):
        return None
    return Path(settings.storage) if settings.storage else settings.data_dir / "images"


def _blob_store(settings: Settings) -> BlobStore:
    if root := images_folder(settings):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileBlobStore(root)
    # Imported when chosen: the library takes a third of the service's start and of its idle memory.
    from limner.storage.gcs import GcsBlobStore

    parts = urlsplit(settings.storage)
    return GcsBlobStore(parts.netloc, prefix=parts.path.lstrip("/"))


def database_url(settings: Settings) -> str:
    """Return the address of the database."""
    return settings.database_url or f"sqlite:///{settings.data_dir.resolve() / 'limner.db'}"


def missing_database(settings: Settings) -> Path | None:
    """Return the file of a SQLite database that is not there; ``None`` when it is, or when it is no file."""
    url = database_url(settings)
    if not url.startswith("sqlite:///"):
        return None
    file = Path(url.removeprefix("sqlite:///"))
    return None if file.exists() else file


def prepare(settings: Settings) -> None:
    """Make the data folder, its key and the newest schema, where they are missing. Blocks."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.auth_jwks:
        local_key(settings)
    schema.migrate(database_url(settings))


def key_source(settings: Settings) -> LocalKey | JwksFile | JwksHttps:
    """Return where the keys of access tokens come from: the configured key set, or else the local key."""
    jwks = settings.auth_jwks
    if not jwks:
        return local_key(settings)
    return JwksHttps(jwks) if jwks.startswith(("http://", "https://")) else JwksFile(Path(jwks))
