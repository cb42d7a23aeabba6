"""The rules of a profile: what a driver may tell us."""

from collections.abc import Mapping
from typing import Any

from roadworthy.documents import Wanted, judge_files
from roadworthy.wire import Fields

ENGLISH_LEVELS = ("basic", "conversational", "fluent", "native")
LONGEST_BIO = 20_000

FIELDS = (
    "first_name",
    "last_name",
    "postcode",
    "birth_date",
    "start_date",
    "contact_phone_number",
    "bio",
    "english_level",
)

COMPLIANCE_DOCUMENTS = (
    "dbs",
    "tacho",
    "enchanced_dbs",
    "cpc",
    "medical_check",
    "child_safeguard_training",
)
"""The kinds a driver must hand in, in the documented order."""


def judge_profile(given: Mapping[str, Any], *, every: bool) -> tuple[Fields, Wanted]:
    """What of `given` is taken and what is refused, in the documented order; the files it wants.

    `every` asks for a whole profile; without it only the fields given are judged.
    """
    fields = Fields(given, every=every)
    fields.text("first_name", required=True)
    fields.text("last_name", required=True)
    fields.text("postcode", required=True)
    fields.date("birth_date", required=True)
    fields.date("start_date", required=True)
    fields.text("contact_phone_number", required=True)
    fields.text("bio", most=LONGEST_BIO)
    fields.choice("english_level", ENGLISH_LEVELS)
    return fields, judge_files(given, fields)
