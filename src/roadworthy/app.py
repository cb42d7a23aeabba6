"""Puts the service together."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from roadworthy.accounts import (
    AccountLetters,
    AccountRoutes,
    OwnAccountRoutes,
    Passwords,
    Recovery,
    RecoveryRoutes,
    Tokens,
    purge_links,
    purge_revoked_tokens,
    purge_sessions,
)
from roadworthy.database import Database, open_database
from roadworthy.jobs import Recurring, Worker
from roadworthy.mail import KIND as MAIL
from roadworthy.mail import Outbox, Post, SMTPServer
from roadworthy.profiles import ProfileRoutes, note_account_change
from roadworthy.settings import Settings, load_settings, sender, signing_secrets
from roadworthy.telemetry import configure_logs
from roadworthy.web import AccountPages, WebRoutes
from roadworthy.wire import ANSWERS_KEPT, Application, Route, purge_answers

ANNOUNCED = "_ROADWORTHY_URL"
"""Tells server processes the URL that `serve` announces."""

_USUAL_URL = "http://127.0.0.1:8000"


def create_app(settings: Settings) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated."""
    database = open_database(settings.database_url)
    passwords = Passwords()
    recovery = Recovery(database, passwords, _now)
    api = _api(database, Tokens(signing_secrets(settings)), passwords, recovery)
    worker = create_worker(database, settings)

    async def start() -> None:
        await database.open()
        worker.start()

    async def stop() -> None:
        await worker.stop()
        passwords.close()
        await database.close()

    return Application(
        (*api, *WebRoutes(database, api, settings, _now), *AccountPages(recovery)),
        origins=settings.cors_origins,
        start=start,
        stop=stop,
    )


def from_environment() -> Application:
    """The application as the environment asks for it; what a server process loads."""
    configure_logs()
    return create_app(load_settings())


def create_worker(database: Database, settings: Settings) -> Worker:
    """Does the work that follows responses, and what comes again by itself."""

    async def purge(_: Mapping[str, Any]) -> None:
        await database.write(purge_answers, _now() - ANSWERS_KEPT)
        await database.write(purge_revoked_tokens, _now())
        await database.write(purge_sessions, _now())
        await database.write(purge_links, _now())

    handlers = {"purge": purge, MAIL: _post(database, settings).send}
    return Worker(database, handlers, (Recurring("purge", timedelta(hours=1)),), _now)


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
    api = _api(database, Tokens(()), passwords, Recovery(database, passwords, _now))
    return WebRoutes(database, api, settings, _now).document


def _api(
    database: Database, tokens: Tokens, passwords: Passwords, recovery: Recovery
) -> tuple[Route, ...]:
    return (
        *AccountRoutes(database, tokens, passwords, _now),
        *OwnAccountRoutes(database, tokens, passwords, note_account_change, _now),
        *RecoveryRoutes(database, recovery, _now),
        *ProfileRoutes(database, tokens, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
