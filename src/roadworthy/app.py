"""Puts the service together."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from roadworthy.accounts import (
    AccountRoutes,
    Guard,
    Passwords,
    Tokens,
    purge_revoked_tokens,
    purge_sessions,
)
from roadworthy.database import Database, open_database
from roadworthy.documents import (
    MEGABYTE,
    Checking,
    DocumentRoutes,
    Documents,
    Files,
    Purging,
    Signatures,
)
from roadworthy.inspection import ClamAV, Inspector
from roadworthy.jobs import Recurring, Worker
from roadworthy.profiles import ProfileRoutes
from roadworthy.settings import Settings, load_settings, signing_secrets
from roadworthy.storage import Storage, open_storage
from roadworthy.telemetry import configure_logs
from roadworthy.uploads import UploadRoutes, Uploads
from roadworthy.web import WebRoutes
from roadworthy.wire import ANSWERS_KEPT, Application, Route, purge_answers


@dataclass(frozen=True)
class _Parts:
    """What the routes stand on; nothing is opened or started before it is needed."""

    database: Database
    storage: Storage
    inspector: Inspector
    passwords: Passwords

    @classmethod
    def of(cls, settings: Settings) -> "_Parts":
        scanner = ClamAV(settings.clamav) if settings.clamav else None
        return cls(
            open_database(settings.database_url),
            storage_of(settings),
            Inspector(scanner),
            Passwords(),
        )

    async def close(self) -> None:
        self.passwords.close()
        self.inspector.close()
        await self.storage.close()
        await self.database.close()


def create_app(settings: Settings) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated."""
    parts = _Parts.of(settings)
    api = _api(parts, settings, signing_secrets(settings))
    worker = create_worker(parts.database, parts.storage)

    async def start() -> None:
        await parts.database.open()
        worker.start()

    async def stop() -> None:
        await worker.stop()
        await parts.close()

    return Application(
        (*api, *WebRoutes(parts.database, api, settings, _now)),
        origins=settings.cors_origins,
        start=start,
        stop=stop,
    )


def from_environment() -> Application:
    """The application as the environment asks for it; what a server process loads."""
    configure_logs()
    return create_app(load_settings())


def storage_of(settings: Settings) -> Storage:
    """Where the files are that `settings` speak of."""
    return open_storage(settings.storage_url, settings.incoming, settings.storage_credentials)


def create_worker(database: Database, storage: Storage) -> Worker:
    """Does the work that follows responses, and what comes again by itself."""
    purging = Purging(database, storage, _now)
    uploads = Uploads(database, Files(database, storage, 0, _now), _now)

    async def purge(_: Mapping[str, Any]) -> None:
        await database.write(purge_answers, _now() - ANSWERS_KEPT)
        await database.write(purge_revoked_tokens, _now())
        await database.write(purge_sessions, _now())
        await uploads.purge()
        await purging.purge()
        await purging.sweep()

    return Worker(database, {"purge": purge}, (Recurring("purge", timedelta(hours=1)),), _now)


def describe(settings: Settings) -> bytes:
    """The API document; nothing is opened or made for it."""
    parts = _Parts.of(settings)
    api = _api(parts, settings, ("",))
    return WebRoutes(parts.database, api, settings, _now).document


def _api(parts: _Parts, settings: Settings, secrets: tuple[str, ...]) -> tuple[Route, ...]:
    database = parts.database
    tokens, signatures = Tokens(secrets), Signatures(secrets)
    files = Files(database, parts.storage, settings.max_file_mb * MEGABYTE, _now)
    checking = Checking(database, files, parts.inspector, signatures, _now)
    documents = Documents(files, checking, signatures, settings.public_url, _now)
    guard = Guard(database, tokens, _now)
    return (
        *AccountRoutes(database, tokens, parts.passwords, _now),
        *ProfileRoutes(database, tokens, documents, _now),
        *DocumentRoutes(database, files, guard, signatures, settings.public_url, _now),
        *UploadRoutes(Uploads(database, files, _now), guard, signatures, settings.public_url, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
