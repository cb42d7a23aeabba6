"""What a field may be given, as JSON Schema, for the API document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadworthy.wire.values import SPACES

Schema = Mapping[str, Any]

NOT_BLANK = rf"^[^\u0000]*[^\u0000{SPACES}][^\u0000]*$"
ANY_TEXT = r"^[^\u0000]*$"

_SIGNED_ID = {"type": "string", "format": "signed-id"}


@dataclass(frozen=True)
class Shape:
    """A field's schema in JSON, and where everything is text: forms and the query string."""

    json: Schema
    form: Schema

    def optional(self) -> "Shape":
        """The same where a list or an object, which count as not given, do no harm."""
        return Shape({"anyOf": [self.json, {"type": ["array", "object"]}]}, self.form)


def required_text(most: int = 255) -> Shape:
    """Text that is not blank; a number becomes text as it is written."""
    text = {"type": "string", "minLength": 1, "maxLength": most, "pattern": NOT_BLANK}
    return Shape({"anyOf": [text, {"type": "number"}]}, text)


def optional_text(most: int = 255) -> Shape:
    """Text, or nothing."""
    text = {"type": "string", "maxLength": most, "pattern": ANY_TEXT}
    return Shape({"anyOf": [text, {"type": ["number", "null"]}]}, text).optional()


def day() -> Shape:
    """A day in any of the forms that are understood; the format is ours."""
    text = {
        "type": "string",
        "format": "day",
        "examples": ["2000-03-20", "2000-03-20T23:30:00-05:00", "20/03/2000"],
    }
    return Shape(text, text)


def files(most: int) -> Shape:
    """A list of signed ids, or nothing; one that is not ours is refused. Forms name it `…[]`."""
    entries = {
        "type": "array",
        "maxItems": most,
        "items": {"anyOf": [_SIGNED_ID, {"type": "null"}]},
    }
    return Shape({"anyOf": [entries, {"enum": [None, ""]}]}, _SIGNED_ID)


def file(most: int) -> Shape:
    """A signed id, a list of some, or nothing; one that is not ours is refused."""
    return Shape({"anyOf": [_SIGNED_ID, *files(most).json["anyOf"]]}, _SIGNED_ID)


def choice(choices: tuple[str, ...]) -> Shape:
    """One of `choices`, or nothing."""
    return Shape({"enum": [None, "", *choices]}, {"enum": ["", *choices]}).optional()
