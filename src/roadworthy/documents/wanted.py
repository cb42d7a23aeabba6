"""Which files a request wants in which places."""

from collections.abc import Mapping
from typing import Any

from roadworthy.documents.attachment import LISTS, MOST_IN_LIST, SLOTS
from roadworthy.wire import Fields, ReceivedFile
from roadworthy.wire.values import INVALID

Wanted = Mapping[str, tuple[str | ReceivedFile, ...]]
"""Slot to what shall be there, by signed id or as it came with the request; none empty it."""
Named = Mapping[str, tuple[str, ...]]
"""The same where every file has its signed id."""


def judge_files(given: Mapping[str, Any], fields: Fields) -> Wanted:
    """The files that `given` wants attached, slot by slot; null or an empty text is none."""
    wanted: dict[str, tuple[str | ReceivedFile, ...]] = {}
    for name in (*SLOTS, *LISTS):
        if name not in given:
            continue
        value = given[name]
        if name in LISTS and isinstance(value, str) and value != "":
            fields.refuse(name, INVALID)
            continue
        given_here = value if isinstance(value, list) else [value]
        entries = [entry for entry in given_here if entry is not None and entry != ""]
        if not all(type(entry) in {str, ReceivedFile} for entry in entries):
            fields.refuse(name, INVALID)
        elif len(given_here) > MOST_IN_LIST:
            fields.refuse(name, f"is too many (maximum is {MOST_IN_LIST})")
        else:
            wanted[name] = tuple(dict.fromkeys(entries))
    return wanted
