"""Puts the service together."""

from datetime import UTC, datetime

from roadworthy.accounts import AccountRoutes, Passwords, Tokens
from roadworthy.database import Database, open_database
from roadworthy.profiles import ProfileRoutes
from roadworthy.settings import Settings, load_settings, signing_secrets
from roadworthy.web import WebRoutes
from roadworthy.wire import Application, Route


def create_app(settings: Settings) -> Application:
    """The ASGI application that `settings` ask for; its database is already migrated."""
    database = open_database(settings.database_url)
    passwords = Passwords()
    api = _api(database, Tokens(signing_secrets(settings)), passwords)

    async def stop() -> None:
        passwords.close()
        await database.close()

    return Application(
        (*api, *WebRoutes(database, api, settings.public_url)),
        origins=settings.cors_origins,
        start=database.open,
        stop=stop,
    )


def from_environment() -> Application:
    """The application as the environment asks for it; what a server process loads."""
    return create_app(load_settings())


def describe(settings: Settings) -> bytes:
    """The API document; nothing is opened or made for it."""
    database = open_database(settings.database_url)
    api = _api(database, Tokens(()), Passwords())
    return WebRoutes(database, api, settings.public_url).document


def _api(database: Database, tokens: Tokens, passwords: Passwords) -> tuple[Route, ...]:
    return (
        *AccountRoutes(database, tokens, passwords, _now),
        *ProfileRoutes(database, tokens, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
