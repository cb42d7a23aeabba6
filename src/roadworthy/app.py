"""Puts the service together."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from roadworthy.accounts import (
    ADDRESSES_KNOWN,
    AccountRoutes,
    KindsInUse,
    Passwords,
    Throttle,
    Tokens,
    purge_known_addresses,
    purge_revoked_tokens,
    purge_sessions,
    purge_throttles,
)
from roadworthy.database import Database, open_database
from roadworthy.jobs import Handler, Worker, purge
from roadworthy.profiles import ProfileRoutes
from roadworthy.settings import Settings, load_settings, signing_secrets
from roadworthy.telemetry import configure_logs
from roadworthy.web import WebRoutes
from roadworthy.wire import ANSWERS_KEPT, STRICT_TRANSPORT, Application, Route, purge_answers


def create_app(
    settings: Settings, started: Callable[[Application], None] = lambda _: None
) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated.

    `started` is called on the event loop once it can serve.
    """
    database = open_database(settings.database_url)
    passwords = Passwords(settings.devise_pepper)
    api = _api(database, settings, signing_secrets(settings), passwords)
    kinds = KindsInUse(database, passwords)
    worker = create_worker(database)

    async def start() -> None:
        await database.open()
        await kinds.start()
        worker.start()
        started(application)

    async def stop() -> None:
        await worker.stop()
        await kinds.stop()
        passwords.close()
        await database.close()

    application = Application(
        (*api, *WebRoutes(database, api, settings, _now)),
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


def create_worker(database: Database) -> Worker:
    """Does the work that follows responses, and what comes again by itself."""

    async def purge_old(payload: Mapping[str, Any]) -> None:
        if "last_run" not in payload:
            return
        # One reading of a clock that is ahead would bring back to life what was revoked: what goes
        # was old by two, now and at the last run, an hour ago or more.
        until = min(_now(), datetime.fromisoformat(payload["last_run"]))
        await purge(database, purge_answers, until - ANSWERS_KEPT)
        await purge(database, purge_revoked_tokens, until)
        await purge(database, purge_sessions, until)
        await purge(database, purge_known_addresses, until - ADDRESSES_KNOWN)
        await purge(database, purge_throttles, until)

    return Worker(database, {"purge": Handler(purge_old, every=timedelta(hours=1))}, _now)


def describe(settings: Settings) -> bytes:
    """The API document; nothing is opened or made for it."""
    database = open_database(settings.database_url)
    api = _api(database, settings, ("",), Passwords())
    return WebRoutes(database, api, settings, _now).document


def _api(
    database: Database, settings: Settings, secrets: tuple[str, ...], passwords: Passwords
) -> tuple[Route, ...]:
    tokens = Tokens(secrets)
    throttle = Throttle(database, settings, secrets[0], _now)
    return (
        *AccountRoutes(database, tokens, passwords, throttle, _now),
        *ProfileRoutes(database, tokens, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
