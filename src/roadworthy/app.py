"""Puts the service together."""

from collections.abc import Mapping
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
from roadworthy.documents.magic import MagicBytes
from roadworthy.jobs import Recurring, Worker
from roadworthy.profiles import ProfileRoutes
from roadworthy.settings import Settings, load_settings, signing_secrets
from roadworthy.storage import Storage, open_storage
from roadworthy.telemetry import configure_logs
from roadworthy.web import WebRoutes
from roadworthy.wire import ANSWERS_KEPT, Application, Route, purge_answers


def create_app(settings: Settings) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated."""
    database = open_database(settings.database_url)
    passwords = Passwords()
    storage = storage_of(settings)
    api = _api(database, storage, settings, signing_secrets(settings), passwords)
    worker = create_worker(database, storage)

    async def start() -> None:
        await database.open()
        worker.start()

    async def stop() -> None:
        await worker.stop()
        passwords.close()
        await storage.close()
        await database.close()

    return Application(
        (*api, *WebRoutes(database, api, settings, _now)),
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

    async def purge(_: Mapping[str, Any]) -> None:
        await database.write(purge_answers, _now() - ANSWERS_KEPT)
        await database.write(purge_revoked_tokens, _now())
        await database.write(purge_sessions, _now())

    async def purge_files(_: Mapping[str, Any]) -> None:
        await purging.purge()

    async def sweep_files(_: Mapping[str, Any]) -> None:
        await purging.sweep()

    return Worker(
        database,
        {"purge": purge, "purge files": purge_files, "sweep files": sweep_files},
        (
            Recurring("purge", timedelta(hours=1)),
            Recurring("purge files", timedelta(hours=1)),
            Recurring("sweep files", timedelta(days=1)),
        ),
        _now,
    )


def describe(settings: Settings) -> bytes:
    """The API document; nothing is opened or made for it."""
    database = open_database(settings.database_url)
    api = _api(database, storage_of(settings), settings, ("",), Passwords())
    return WebRoutes(database, api, settings, _now).document


def _api(
    database: Database,
    storage: Storage,
    settings: Settings,
    secrets: tuple[str, ...],
    passwords: Passwords,
) -> tuple[Route, ...]:
    tokens, signatures = Tokens(secrets), Signatures(secrets)
    files = Files(database, storage, settings.max_file_mb * MEGABYTE, _now)
    checking = Checking(database, files, MagicBytes(), signatures, _now)
    documents = Documents(checking, signatures, settings.public_url, _now)
    guard = Guard(database, tokens, _now)
    return (
        *AccountRoutes(database, tokens, passwords, _now),
        *ProfileRoutes(database, tokens, documents, _now),
        *DocumentRoutes(database, files, guard, signatures, settings.public_url, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
