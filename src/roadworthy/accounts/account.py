"""The rules of an account: what may sign up, and how addresses compare."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadworthy.wire import Fields, Unprocessable, text_value
from roadworthy.wire.values import BLANK, INVALID, Refused, is_blank

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 128
ADDRESS_SPACES = " \t\n\v\f\r"

OTHER_PASSWORD = "doesn't match Password"  # noqa: S105 -- what is said of one

_ORDER = (
    "email",
    "password",
    "password_confirmation",
    "phone_number",
    "current_password",
    "reset_password_token",
)

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+", re.ASCII)
"""Devise's own check, no stricter: addresses that begin with a dot sign up too."""


@dataclass(frozen=True)
class NewAccount:
    """A sign-up that is in order; whether the address is taken is not yet known."""

    email: str
    password: str
    phone_number: str | None


def stored_address(email: str) -> str:
    """The form in which addresses are kept and compared: no case, no outer spaces."""
    return email.strip(ADDRESS_SPACES).lower()


def judge_sign_up(given: Mapping[str, Any]) -> tuple[NewAccount, dict[str, list[str]]]:
    """The account asked for and what is wrong with it, field by field in the documented order."""
    fields = Fields(given, every=True)
    email = _judge_email(given.get("email"), fields)
    password = _judge_password(given, fields)
    fields.text("phone_number")
    return NewAccount(email, password, fields.taken.get("phone_number")), fields.errors


def judge_reachable(given: Mapping[str, Any], fields: Fields) -> None:
    """The address and phone number of who moves in, judged as at sign-up."""
    fields.taken["email"] = _judge_email(given.get("email"), fields)
    fields.text("phone_number")


def judge_change(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """What of an account shall be new, by field, and what is wrong with it.

    As in the original, a password that is blank is one that was not given.
    """
    fields = Fields(given, every=False)
    fields.text("phone_number")
    changes = fields.taken
    if "email" in given:
        changes["email"] = _judge_email(given["email"], fields)
    if _is_given(given.get("password")):
        changes["password"] = _judge_password(given, fields)
    elif _is_given(given.get("password_confirmation")):
        fields.refuse("password_confirmation", OTHER_PASSWORD)
    return changes, fields.errors


def judge_address(given: Mapping[str, Any]) -> str:
    """The address that a mail is asked for. Raises the 422 that says what is wrong with it."""
    fields = Fields(given, every=True)
    email = _judge_email(given.get("email"), fields)
    refuse(fields.errors)
    return email


def judge_new_password(given: Mapping[str, Any]) -> str:
    """A password in place of a forgotten one. Raises the 422 that says what is wrong with it."""
    fields = Fields(given, every=True)
    password = _judge_password(given, fields)
    refuse(fields.errors)
    return password


def judge_secret(given: Mapping[str, Any], name: str) -> tuple[str, str | None]:
    """What was given to prove something, and what is wrong with it as it stands."""
    value = given.get(name)
    if not _is_given(value):
        return "", BLANK
    try:
        return _given_text(value), None
    except Refused:
        return "", INVALID


def refuse(errors: dict[str, list[str]]) -> None:
    """Raise the 422 that lists `errors`, if there are any."""
    if errors:
        raise Unprocessable({name: errors[name] for name in _ORDER if name in errors})


def _judge_email(value: object, fields: Fields) -> str:
    try:
        email = stored_address(_given_text(value))
    except Refused as refused:
        fields.refuse("email", str(refused))
        return ""
    if not email:
        fields.refuse("email", BLANK)
    elif not _ADDRESS.fullmatch(email):
        fields.refuse("email", INVALID)
    return email


def _judge_password(given: Mapping[str, Any], fields: Fields) -> str:
    try:
        password = _given_text(given.get("password"), most=LONGEST_PASSWORD)
    except Refused as refused:
        fields.refuse("password", str(refused))
        return ""
    if is_blank(password):
        fields.refuse("password", BLANK)
    elif len(password) < SHORTEST_PASSWORD:
        fields.refuse("password", f"is too short (minimum is {SHORTEST_PASSWORD} characters)")
    confirmation = given.get("password_confirmation")
    if confirmation is not None and confirmation != password:
        fields.refuse("password_confirmation", OTHER_PASSWORD)
    return password


def _is_given(value: object) -> bool:
    return not isinstance(value, list | dict | bytes) and not is_blank(value)


def _given_text(value: object, most: int = 255) -> str:
    """Text, empty when nothing or no text was given. Raises `Refused`."""
    if isinstance(value, list | dict | bytes):
        return ""
    return text_value(value, most) or ""
