"""Puts the service together."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from roadworthy.accounts import (
    ADDRESSES_KNOWN,
    AccountLetters,
    AccountRoutes,
    KindsInUse,
    OwnAccountRoutes,
    Passwords,
    Recovery,
    RecoveryRoutes,
    Throttle,
    Tokens,
    purge_known_addresses,
    purge_links,
    purge_revoked_tokens,
    purge_sessions,
    purge_throttles,
)
from roadworthy.database import Database, open_database
from roadworthy.jobs import Handler, Worker, purge
from roadworthy.mail import KIND as MAIL
from roadworthy.mail import Outbox, Post, SMTPServer
from roadworthy.profiles import ProfileRoutes, note_account_change
from roadworthy.settings import Settings, load_settings, sender, signing_secrets
from roadworthy.telemetry import configure_logs
from roadworthy.tombstones import Keeper, purge_tombstones
from roadworthy.web import AccountPages, WebRoutes
from roadworthy.wire import ANSWERS_KEPT, STRICT_TRANSPORT, Application, Route, purge_answers

ANNOUNCED = "_ROADWORTHY_URL"
"""Tells server processes the URL that `serve` announces."""

_USUAL_URL = "http://127.0.0.1:8000"


def create_app(
    settings: Settings, started: Callable[[Application], None] = lambda _: None
) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated.

    `started` is called on the event loop once it can serve.
    """
    database = open_database(settings.database_url)
    passwords = Passwords(settings.devise_pepper)
    recovery = Recovery(database, passwords, _now)
    api = _api(database, settings, signing_secrets(settings), passwords, recovery)
    kinds = KindsInUse(database, passwords)
    worker = create_worker(database, settings)
    keeper = Keeper(database, settings.tombstones_dir)

    async def start() -> None:
        await database.open()
        await kinds.start()
        worker.start()
        keeper.start()
        started(application)

    async def stop() -> None:
        await worker.stop()
        await keeper.stop()
        await kinds.stop()
        passwords.close()
        await database.close()

    application = Application(
        (*api, *WebRoutes(database, api, settings, _now), *AccountPages(recovery)),
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


def create_worker(database: Database, settings: Settings) -> Worker:
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
        await purge(database, purge_links, until)
        await purge(database, purge_known_addresses, until - ADDRESSES_KNOWN)
        await purge(database, purge_throttles, until)
        await purge(database, purge_tombstones, until)

    handlers = {
        "purge": Handler(purge_old, every=timedelta(hours=1)),
        MAIL: Handler(_post(database, settings).send, limit=timedelta(minutes=2)),
    }
    return Worker(database, handlers, _now)


def _post(database: Database, settings: Settings) -> Post:
    """Links lead to where people reach us, never to where a request says that it went."""
    base_url = settings.public_url or os.environ.get(ANNOUNCED, _USUAL_URL)
    letters = AccountLetters(database, signing_secrets(settings)[0], base_url, _now)
    smtp_url = settings.smtp_url
    deliver = SMTPServer.at(smtp_url) if smtp_url else Outbox(settings.outbox)
    return Post(letters.writers, deliver, sender(settings), _now)


def describe(settings: Settings) -> bytes:
    """The API document; nothing is opened or made for it."""
    database = open_database(settings.database_url)
    passwords = Passwords()
    api = _api(database, settings, ("",), passwords, Recovery(database, passwords, _now))
    return WebRoutes(database, api, settings, _now).document


def _api(
    database: Database,
    settings: Settings,
    secrets: tuple[str, ...],
    passwords: Passwords,
    recovery: Recovery,
) -> tuple[Route, ...]:
    tokens = Tokens(secrets)
    throttle = Throttle(database, settings, secrets[0], _now)
    return (
        *AccountRoutes(database, tokens, passwords, throttle, _now),
        *OwnAccountRoutes(database, tokens, passwords, throttle, note_account_change, _now),
        *RecoveryRoutes(database, recovery, throttle, _now),
        *ProfileRoutes(database, tokens, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
