"""Puts the service together."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from roadworthy.accounts import (
    AccountRoutes,
    Passwords,
    Tokens,
    purge_revoked_tokens,
    purge_sessions,
)
from roadworthy.database import Database, open_database
from roadworthy.jobs import Recurring, Worker
from roadworthy.profiles import ProfileRoutes
from roadworthy.settings import Settings, load_settings, signing_secrets
from roadworthy.telemetry import configure_logs
from roadworthy.tombstones import Keeper, purge_tombstones
from roadworthy.web import WebRoutes
from roadworthy.wire import ANSWERS_KEPT, Application, Route, purge_answers


def create_app(settings: Settings) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated."""
    database = open_database(settings.database_url)
    passwords = Passwords()
    api = _api(database, Tokens(signing_secrets(settings)), passwords)
    worker = create_worker(database)
    keeper = Keeper(database, settings.tombstones_dir)

    async def start() -> None:
        await database.open()
        worker.start()
        keeper.start()

    async def stop() -> None:
        await worker.stop()
        await keeper.stop()
        passwords.close()
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


def create_worker(database: Database) -> Worker:
    """Does the work that follows responses, and what comes again by itself."""

    async def purge(_: Mapping[str, Any]) -> None:
        await database.write(purge_answers, _now() - ANSWERS_KEPT)
        await database.write(purge_revoked_tokens, _now())
        await database.write(purge_sessions, _now())
        await database.write(purge_tombstones, _now())

    return Worker(database, {"purge": purge}, (Recurring("purge", timedelta(hours=1)),), _now)


def describe(settings: Settings) -> bytes:
    """The API document; nothing is opened or made for it."""
    database = open_database(settings.database_url)
    api = _api(database, Tokens(()), Passwords())
    return WebRoutes(database, api, settings, _now).document


def _api(database: Database, tokens: Tokens, passwords: Passwords) -> tuple[Route, ...]:
    return (
        *AccountRoutes(database, tokens, passwords, _now),
        *ProfileRoutes(database, tokens, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
