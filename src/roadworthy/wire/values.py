"""Values of fields, judged as the documented API judges them; no input raises."""

import re
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from roadworthy.wire.parameters import FILES, Number

BLANK = "can't be blank"
INVALID = "is invalid"
NOT_A_DATE = "is not a valid date"
TAKEN = "has already been taken"
NOT_INCLUDED = "is not included in the list"

MOST_TEXT = 255

SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
)
SPACES += "\u2028\u2029\u202f\u205f\u3000"
"""What is blank to the original: Unicode's White_Space, where Python's own idea has four more."""

_NOT_GIVEN = object()
_NO_VALUES = (list, dict, *FILES)
"""Given where a value should be, they count as not given."""

_DAY = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<clock>\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)"
_ZONE = r"(?:\s?(?:[Zz]|UTC|[+-](?P<offset>\d\d(?::?\d\d)?)))?"
_YEAR_FIRST = re.compile(rf"{_DAY}(?:[Tt ]{_CLOCK}{_ZONE})?", re.ASCII)
_DAY_FIRST = re.compile(r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{4})", re.ASCII)
_YEARS = range(1900, 2201)


class Refused(ValueError):
    """A value that is not taken; the message is the one people are shown."""


class Fields:
    """The fields of one object while they are judged: what is taken, and what is refused.

    `errors` keeps the order in which fields were asked for.
    """

    def __init__(self, given: Mapping[str, Any], *, every: bool):
        """With `every`, a required field that is not given is blank; else it is left alone."""
        self._given = given
        self._every = every
        self.taken: dict[str, Any] = {}
        self.errors: dict[str, list[str]] = {}

    def text(self, name: str, *, required: bool = False, most: int = MOST_TEXT) -> None:
        """A text of at most `most` characters."""
        self._take(name, required, lambda value: text_value(value, most))

    def date(self, name: str, *, required: bool = False) -> None:
        """A day."""
        self._take(name, required, date_value)

    def choice(self, name: str, choices: tuple[str, ...]) -> None:
        """One of `choices`; an empty text is none, as forms cannot send null."""
        self._take(name, False, lambda value: choice_value(value, choices))  # noqa: FBT003

    def refuse(self, name: str, message: str) -> None:
        """Add `message` to what is wrong with `name`."""
        self.errors.setdefault(name, []).append(message)

    def _take(self, name: str, required: bool, judge: Any) -> None:  # noqa: FBT001
        value = self._given.get(name, _NOT_GIVEN)
        if isinstance(value, _NO_VALUES):
            value = _NOT_GIVEN
        if value is _NOT_GIVEN and not (required and self._every):
            return
        try:
            taken = judge(None if value is _NOT_GIVEN else value)
            if required and is_blank(taken):
                raise Refused(BLANK)  # noqa: TRY301 -- one place answers every refusal
        except Refused as refused:
            self.refuse(name, str(refused))
        else:
            self.taken[name] = taken


def is_blank(value: object) -> bool:
    """Whether `value` is nothing, or text of nothing but spaces."""
    return value is None or (isinstance(value, str) and not value.strip(SPACES))


def text_value(value: object, most: int = MOST_TEXT) -> str | None:
    """Text as it was sent, a number as it was written. Raises `Refused`."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refused(INVALID)
    text = str(value)
    if "\0" in text or not is_unicode(text):
        raise Refused(INVALID)
    if len(text) > most:
        raise Refused(f"is too long (maximum is {most} characters)")
    return text


def is_unicode(text: str) -> bool:
    """Whether `text` has no lone surrogate: JSON can spell one, UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def choice_value(value: object, choices: tuple[str, ...]) -> str | None:
    """One of `choices`, or nothing. Raises `Refused`."""
    if value is None or value == "":
        return None
    if value not in choices or isinstance(value, Number):
        raise Refused(NOT_INCLUDED)
    return str(value)


def date_value(value: object) -> date | None:
    """A day as it is written, whatever its time zone, or nothing. Raises `Refused`.

    Forms: `2000-03-20`, `2000-03-20T23:30:00-05:00`, `2000-03-20 10:02:34`, `20/03/2000`.
    """
    if is_blank(value):
        return None
    if isinstance(value, str) and not isinstance(value, Number):
        match = _YEAR_FIRST.fullmatch(value) or _DAY_FIRST.fullmatch(value)
        said = match.groupdict() if match else {}
        if said and _is_time(said.get("clock"), said.get("offset")):
            return _day(int(said["year"]), int(said["month"]), int(said["day"]))
    raise Refused(NOT_A_DATE)


def _is_time(clock: str | None, offset: str | None) -> bool:
    try:
        if clock is not None:
            time.fromisoformat(clock.replace(",", ".").partition(".")[0])
        if offset is not None:
            digits = offset.replace(":", "").ljust(4, "0")
            time(int(digits[:2]), int(digits[2:]))
    except ValueError:
        return False
    return True


def _day(year: int, month: int, day: int) -> date:
    try:
        if year in _YEARS:
            return date(year, month, day)
    except ValueError:
        pass
    raise Refused(NOT_A_DATE)
