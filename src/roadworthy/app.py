"""Puts the service together."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from roadworthy.accounts import (
    ADDRESSES_KNOWN,
    AccountLetters,
    AccountRoutes,
    Guard,
    KindsInUse,
    OwnAccountRoutes,
    Passwords,
    Recovery,
    RecoveryRoutes,
    SigningIn,
    Throttle,
    Tokens,
    purge_known_addresses,
    purge_links,
    purge_revoked_tokens,
    purge_sessions,
    purge_throttles,
)
from roadworthy.database import Database, open_database
from roadworthy.documents import (
    MEGABYTE,
    Checking,
    DocumentRoutes,
    Documents,
    Failures,
    Files,
    Going,
    Pages,
    Purging,
    Signatures,
    ViewRoutes,
)
from roadworthy.exports import KIND as EXPORT
from roadworthy.exports import (
    Exporting,
    ExportLetters,
    ExportRoutes,
    Handover,
    find_old_exports,
    purge_exports,
)
from roadworthy.inspection import ClamAV, Inspector
from roadworthy.jobs import Handler, Incomplete, Worker, find_last_run, purge, purge_dead_jobs
from roadworthy.mail import KIND as MAIL
from roadworthy.mail import Outbox, Post, SMTPServer
from roadworthy.profiles import ProfileRoutes, note_account_change
from roadworthy.retention import Erasure
from roadworthy.settings import Settings, load_settings, sender, signing_secrets
from roadworthy.storage import Storage, open_storage
from roadworthy.telemetry import configure_logs
from roadworthy.tombstones import Keeper, purge_tombstones
from roadworthy.uploads import UploadRoutes, Uploads
from roadworthy.web import AccountPages, ExportPages, WebRoutes
from roadworthy.wire import (
    ANSWERS_KEPT,
    STRICT_TRANSPORT,
    Application,
    Idempotency,
    Route,
    purge_answers,
)

ANNOUNCED = "_ROADWORTHY_URL"
"""Tells server processes the URL that `serve` announces."""

PURGE = "purge"
"""The kind of the job that removes what is out of date."""

_USUAL_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class _Parts:
    """What the routes stand on; nothing is opened or started before it is needed."""

    database: Database
    storage: Storage
    files: Files
    inspector: Inspector
    passwords: Passwords
    throttle: Throttle
    tokens: Tokens
    signing_in: SigningIn
    recovery: Recovery

    @classmethod
    def of(cls, settings: Settings, secrets: tuple[str, ...]) -> "_Parts":
        database = open_database(settings.database_url)
        storage = storage_of(settings)
        passwords = Passwords(KindsInUse(database, _now).now, settings.devise_pepper)
        throttle = Throttle(database, settings, secrets[0], _now)
        tokens = Tokens(secrets)
        return cls(
            database,
            storage,
            Files(database, storage, settings.max_file_mb * MEGABYTE, _now),
            Inspector(ClamAV(settings.clamav) if settings.clamav else None),
            passwords,
            throttle,
            tokens,
            SigningIn(database, tokens, passwords, throttle, _now),
            Recovery(database, passwords, throttle, _now),
        )

    async def close(self) -> None:
        await self.signing_in.settle()
        await self.passwords.close()
        self.inspector.close()
        await self.storage.close()
        await self.database.close()


def create_app(
    settings: Settings, started: Callable[[Application], None] = lambda _: None
) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated.

    `started` is called on the event loop once it can serve.
    """
    secrets = signing_secrets(settings)
    parts = _Parts.of(settings, secrets)
    api = _api(parts, settings, secrets)
    worker = create_worker(parts.database, parts.storage, settings)
    keeper = Keeper(parts.database, settings.tombstones_dir)

    async def start() -> None:
        await parts.database.open()
        worker.start()
        keeper.start()
        started(application)

    async def stop() -> None:
        await worker.stop()
        await keeper.stop()
        await parts.close()

    handover = Handover(parts.database, parts.files, parts.passwords, parts.throttle, _now)
    pages = (*AccountPages(parts.recovery), *ExportPages(handover))
    application = Application(
        (*api, *WebRoutes(parts.database, api, settings, _now), *pages),
        origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        start=start,
        stop=stop,
        added=[STRICT_TRANSPORT] if settings.tls_cert else [],
    )
    return application


def from_environment(started: Callable[[Application], None]) -> Application:
    """The application as the environment asks for it; what a server process loads."""
    configure_logs()
    return create_app(load_settings(), started)


def storage_of(settings: Settings) -> Storage:
    """Where the files are that `settings` speak of."""
    return open_storage(settings.storage_url, settings.incoming, settings.storage_credentials)


def create_worker(database: Database, storage: Storage, settings: Settings) -> Worker:
    """Does the work that follows responses, and what comes again by itself."""
    purging, erasure = Purging(database, storage, _now), Erasure(database, _now)
    uploads, kinds = _old_uploads(database, storage), KindsInUse(database, _now)
    kept = timedelta(days=settings.closed_account_days)

    async def purge_old(payload: Mapping[str, Any]) -> None:
        has_looked = await kinds.look_again()
        if "last_run" not in payload:
            return
        # One reading of a clock that is ahead would bring back to life what was revoked: what goes
        # was old by two, now and at the last run, an hour ago or more.
        until = min(_now(), datetime.fromisoformat(payload["last_run"]))
        await purge(database, purge_answers, until - ANSWERS_KEPT)
        await purge(database, purge_revoked_tokens, until)
        await purge(database, purge_sessions, until)
        await purge(database, purge_links, until)
        await purge(database, purge_known_addresses, until - ADDRESSES_KNOWN)
        await purge(database, purge_throttles, until)
        await purge(database, purge_tombstones, until)
        await purge(database, purge_dead_jobs, until - kept)
        await purge(database, purge_exports, until)
        await erasure.erase(until - kept)
        # What needs storage comes last, as that may be away when the database is not.
        failures = Failures()
        await uploads.purge(until, failures)
        await purging.purge(until, failures)
        await purging.sweep(until, failures)
        if failures.count:
            raise Incomplete(f"what storage could not remove: {failures.count}")
        if not has_looked:
            raise Incomplete("which kinds of digest the accounts have")

    handlers = {
        PURGE: Handler(purge_old, every=timedelta(hours=1)),
        EXPORT: Handler(Exporting(database, storage, _now).make, limit=timedelta(hours=1)),
        MAIL: Handler(_post(database, settings).send, limit=timedelta(minutes=2)),
    }
    return Worker(database, handlers, _now)


async def going(database: Database, storage: Storage, settings: Settings) -> AsyncIterator[Going]:
    """What the recurring work would remove now of files and of closed accounts, and why.

    Before it ran for the first time: what is out of date now.
    """
    now, last_run = _now(), await database.report(find_last_run, PURGE)
    until = min(now, last_run or now)
    kept = timedelta(days=settings.closed_account_days)
    async for each in Erasure(database, _now).going(until - kept):
        yield each
    for export_id, user_id in await database.report(find_old_exports, until):
        yield Going(f"download {export_id} of driver {user_id}", "it expired, or was never made")
    async for each in _old_uploads(database, storage).going(until):
        yield each
    async for each in Purging(database, storage, _now).going(until):
        yield each


def _old_uploads(database: Database, storage: Storage) -> Uploads:
    """To remove some: none is taken in."""
    return Uploads(database, Files(database, storage, 0, _now), _now)


def _post(database: Database, settings: Settings) -> Post:
    """Links lead to where people reach us, never to where a request says that it went."""
    base_url = settings.public_url or os.environ.get(ANNOUNCED, _USUAL_URL)
    secret = signing_secrets(settings)[0]
    letters = AccountLetters(database, secret, base_url, _now)
    exports = ExportLetters(database, secret, base_url, _now)
    writers = {**letters.writers, **exports.writers}
    smtp_url = settings.smtp_url
    deliver = SMTPServer.at(smtp_url) if smtp_url else Outbox(settings.outbox)
    return Post(writers, deliver, sender(settings), _now)


def describe(settings: Settings) -> bytes:
    """The API document; nothing is opened or made for it."""
    secrets = ("",)
    parts = _Parts.of(settings, secrets)
    api = _api(parts, settings, secrets)
    return WebRoutes(parts.database, api, settings, _now).document


def _api(parts: _Parts, settings: Settings, secrets: tuple[str, ...]) -> tuple[Route, ...]:
    database, passwords = parts.database, parts.passwords
    tokens, signatures = Tokens(secrets), Signatures(secrets)
    files = parts.files
    checking = Checking(database, files, parts.inspector, signatures, _now)
    documents = Documents(files, checking, signatures, settings.public_url, _now)
    guard = Guard(database, tokens, _now)
    return (
        *AccountRoutes(database, tokens, passwords, parts.throttle, parts.signing_in, _now),
        *OwnAccountRoutes(database, tokens, passwords, parts.throttle, note_account_change, _now),
        *RecoveryRoutes(database, parts.recovery, parts.throttle, _now),
        *ExportRoutes(database, guard, parts.throttle, _now),
        *ProfileRoutes(database, tokens, documents, _now),
        *DocumentRoutes(database, files, guard, signatures, settings.public_url, _now),
        *ViewRoutes(database, files, Pages(files.storage, parts.inspector), signatures, _now),
        *UploadRoutes(
            Uploads(database, files, _now),
            guard,
            signatures,
            Idempotency(database, _now),
            settings.public_url,
        ),
    )


def _now() -> datetime:
    return datetime.now(UTC)
