"""What schemathesis cannot know of the documents' state; loaded by its command line.

A driver registers once, an address signs up once, and a token is somebody's.
"""

import os
from datetime import date
from itertools import count
from types import NoneType
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.support.blobs import LISTS, SLOTS
from tests.support.drivers import PASSWORD, PROFILE_PATH, new_driver, with_profile
from tests.support.mail import link_to
from tests.support.tables import open_tables

schemathesis.openapi.format(
    "day", st.dates(date(1900, 1, 1), date(2200, 12, 31)).map(lambda day: day.isoformat())
)

# Nobody can make one up; an empty text is none.
schemathesis.openapi.format("signed-id", st.just(""))

_tables = open_tables(os.environ["TESTED_DATABASE"])
_numbers = count(1)


@schemathesis.auth(refresh_interval=None)
class DriverOfItsOwn:
    """Each request is by a driver of its own, who has a profile unless about to make one."""

    def get(self, case: Any, _: Any) -> str:
        driver = new_driver(_tables)
        if case.path == PROFILE_PATH and case.method.upper() != "POST":
            with_profile(_tables, driver)
        return driver.token

    def set(self, case: Any, token: str, _: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
        case.headers.pop("JWT-AUD", None)  # these tokens have no audience
        case.headers.pop("Idempotency-Key", None)  # of another driver, as like as not


@schemathesis.hook
def before_call(_: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001 -- its signature is theirs
    """What the document cannot say."""
    for key in [key for key in case.query or {} if key.startswith(("profile", "user", "blob"))]:
        # Where the query has the parameters too, the body is not looked at.
        del case.query[key]
    if "form" in (case.media_type or "") and isinstance(case.body, dict):
        _send_only_text(case.body)
        if case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
            _send_only_days(case.body)
            _send_no_files(case.body)
    if case.path.startswith("/api/v1/uploads"):
        _speak_tus(case)
    if case.path == "/api/v1/users" and isinstance(case.body, dict):
        _sign_up_somebody_new(case.body)
    if case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        _prove(case)


def _prove(case: Any) -> None:
    """Who changes an account knows its password, and who uses a link was sent it."""
    for user in _users_in(case.body):
        for name in user:
            if "current_password" in name:
                user[name] = PASSWORD
            if "reset_password_token" in name:
                user[name] = link_to(_tables, new_driver(_tables).id, "reset")
            if "password_confirmation" in name:
                user[name] = _same_password(user, name)
    if case.query and "confirmation_token" in case.query:
        case.query["confirmation_token"] = link_to(_tables, new_driver(_tables).id, "confirmation")


def _users_in(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        return []
    nested = body.get("user")
    return [body, nested] if isinstance(nested, dict) else [body]


def _speak_tus(case: Any) -> None:
    """What its headers say the document tells people; what they may not say is in our tables."""
    own = {"tus-resumable": "1.0.0", "upload-length": "1"}
    if case.method.upper() == "POST" and "{" in case.path:
        own["x-http-method-override"] = "HEAD"
    kept = {
        name: value
        for name, value in (case.headers or {}).items()
        if not name.lower().startswith(("upload-", "tus-", "x-http-"))
    }
    case.headers = {**kept, **own}


def _send_only_text(form: dict[str, Any]) -> None:
    """A form sends null, numbers and the like as text, which is right: send what never is."""
    for name, value in form.items():
        if not isinstance(value, str):
            form[name] = "\0"


def _send_only_days(form: dict[str, Any]) -> None:
    """Fuzzing a form now and then forgets our own format: what it means as valid shall be."""
    for name in [name for name in form if "birth_date" in name or "start_date" in name]:
        try:
            date.fromisoformat(form[name])
        except ValueError:
            form[name] = "2000-03-20"


def _send_no_files(form: dict[str, Any]) -> None:
    """The same for signed ids."""
    for name in form:
        if name.removeprefix("profile[").removesuffix("]") in {*SLOTS, *LISTS}:
            form[name] = ""


def _sign_up_somebody_new(body: dict[str, Any]) -> None:
    for user in _users_in(body):
        for name in [name for name in user if name in {"email", "user[email]"}]:
            if isinstance(user[name], str) and "@" in user[name]:
                user[name] = f"{next(_numbers)}.{user[name].strip()}"[:255]
        for name in [name for name in user if name in {"password", "user[password]"}]:
            if isinstance(user[name], float):
                # A number counts as its digits, and a schema cannot say how many those are.
                user[name] = True
        for name in [name for name in user if "password_confirmation" in name]:
            user[name] = _same_password(user, name)


def _same_password(user: dict[str, Any], confirmation: str) -> Any:
    """What confirms the password that is given, if one is."""
    password = user.get(confirmation.replace("_confirmation", ""))
    return "" if isinstance(password, list | dict | NoneType) else password
