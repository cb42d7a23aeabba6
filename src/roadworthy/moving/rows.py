"""The rules of rows that move in: those of the API where it has them, and those of a dump."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from roadworthy.accounts import MOST_BCRYPT_COST, MOST_JTI, bcrypt_cost, judge_reachable
from roadworthy.profiles import judge_profile
from roadworthy.wire import Fields
from roadworthy.wire.values import BLANK, Refused

LARGEST_ID = 2**62
"""Half of what fits: an id at the very end would leave none for those who sign up later."""

NOT_AN_ID = f"is not a number from 1 to {LARGEST_ID}"
NOT_BCRYPT = "is not a bcrypt digest"
NOT_A_TIME = "is not a valid time"
TOO_COSTLY = f"has a bcrypt cost over {MOST_BCRYPT_COST}"

_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<clock>\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)"
    r"(?:\s?(?P<zone>[Zz]|UTC|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_YEARS = range(1900, 2201)

_REQUIRED = object()

Given = Mapping[str, str | None]


def judge_user_row(given: Given, _: datetime) -> Fields:
    """What of a user is taken and what is refused."""
    fields = Fields(given, every=True)
    _take(fields, given, "id", id_value)
    judge_reachable(given, fields)
    _take(fields, given, "encrypted_password", digest_value, missing="")
    _take(fields, given, "created_at", moment_value)
    _take(fields, given, "updated_at", moment_value, missing=fields.taken.get("created_at"))
    _take(fields, given, "confirmed_at", moment_value, missing=None)
    return fields


def judge_profile_row(given: Given, now: datetime) -> Fields:
    """The same of a profile; one without times is taken as told `now`."""
    fields = Fields(given, every=True)
    _take(fields, given, "id", id_value)
    _take(fields, given, "user_id", id_value)
    told, _ = judge_profile(given, every=True)
    fields.taken.update(told.taken)
    fields.errors.update(told.errors)
    _take(fields, given, "created_at", moment_value, missing=now)
    _take(fields, given, "updated_at", moment_value, missing=fields.taken.get("created_at"))
    return fields


def judge_token_row(given: Given, _: datetime) -> Fields:
    """The same of a token on the denylist; one without an end is never forgotten."""
    fields = Fields(given, every=True)
    fields.text("jti", required=True, most=MOST_JTI)
    _take(fields, given, "exp", expiry_value, missing=None)
    return fields


def _take(
    fields: Fields,
    given: Given,
    name: str,
    judge: Callable[[str], object],
    *,
    missing: object = _REQUIRED,
) -> None:
    """One field as `judge` reads it; `missing` where it is empty or there is no such column."""
    text = given.get(name)
    if text is None:
        if missing is _REQUIRED:
            fields.refuse(name, BLANK)
        else:
            fields.taken[name] = missing
        return
    try:
        fields.taken[name] = judge(text)
    except Refused as refused:
        fields.refuse(name, str(refused))


def id_value(text: str) -> int:
    """A row's id. Raises `Refused`."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID)):
        number = int(text)
        if 1 <= number <= LARGEST_ID:
            return number
    raise Refused(NOT_AN_ID)


def digest_value(text: str) -> str:
    """A bcrypt digest as Devise stores it. Raises `Refused`."""
    cost = bcrypt_cost(text)
    if cost is None:
        raise Refused(NOT_BCRYPT)
    if cost > MOST_BCRYPT_COST:
        raise Refused(TOO_COSTLY)
    return text


def moment_value(text: str) -> datetime:
    """A time as Rails, PostgreSQL, MySQL or ISO 8601 writes it; UTC where no zone is named.

    Raises `Refused`.
    """
    match = _MOMENT.fullmatch(text)
    if match is None or int(text[:4]) not in _YEARS:
        raise Refused(NOT_A_TIME)
    zone = match["zone"] or "UTC"
    if zone in {"Z", "z", "UTC"}:
        zone = "+00:00"
    try:
        return datetime.fromisoformat(f"{match['day']}T{match['clock']}{zone}").astimezone(UTC)
    except ValueError:
        raise Refused(NOT_A_TIME) from None


def expiry_value(text: str) -> datetime:
    """When a token ends: seconds since 1970, as the token says it, or a time. Raises `Refused`."""
    if not _SECONDS.fullmatch(text):
        return moment_value(text)
    try:
        moment = datetime.fromtimestamp(int(text), UTC)
    except (OverflowError, ValueError, OSError):
        raise Refused(NOT_A_TIME) from None
    if moment.year not in _YEARS:
        raise Refused(NOT_A_TIME)
    return moment
