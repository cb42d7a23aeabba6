"""The one place that turns a profile into bytes."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from roadworthy.documents import LISTS, SLOTS, AttachedFile, in_list, in_slot
from roadworthy.profiles.profile import COMPLIANCE_DOCUMENTS, FIELDS
from roadworthy.profiles.schemas import (
    Activity,
    Experience,
    Interview,
    License,
    Profile,
    ProfileBody,
    Review,
    decode_moment,
)
from roadworthy.wire import etag_of

MOST_KEPT = 8192


@dataclass(frozen=True, slots=True)
class Rendering:
    """A profile's bytes at one version, with their entity tag."""

    version: int
    body: bytes
    etag: str


class Renderings:
    """The profiles shown last, each at its newest version known here.

    Nothing stale can be shown: whoever asks has just read the version from the database.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Rendering] = OrderedDict()

    def find(self, profile_id: int, version: int) -> Rendering | None:
        """The rendering of that very version, if it is kept."""
        kept = self._kept.get(profile_id)
        if kept is None or kept.version != version:
            return None
        self._kept.move_to_end(profile_id)
        return kept

    def keep(self, profile_id: int, rendering: Rendering) -> Rendering:
        """Keep `rendering`, in place of the one not shown for longest."""
        self._kept[profile_id] = rendering
        self._kept.move_to_end(profile_id)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return rendering


def render(row: Mapping[str, Any]) -> Rendering:
    """The documented bytes of a profile read whole (`find_profile`)."""
    return _rendering(row["version"], _profile(row))


def render_new(profile_id: int, driver: Mapping[str, Any], values: Mapping[str, Any]) -> Rendering:
    """The same for a profile just created: at version 1, with nothing attached to it yet."""
    return render(
        {
            "bio": None,
            "english_level": None,
            **values,
            "id": profile_id,
            "version": 1,
            "email": driver["email"],
            "phone_number": driver["phone_number"],
            **_NOTHING_YET,
        }
    )


_COLLECTIONS = {
    "activities": Activity,
    "experiences": Experience,
    "interviews": Interview,
    "licenses": License,
    "reviews": Review,
}
_NOTHING_YET = dict.fromkeys((*_COLLECTIONS, "files"))
_DECODERS = {
    name: msgspec.json.Decoder(list[kind], dec_hook=decode_moment)  # type: ignore[valid-type]
    for name, kind in {**_COLLECTIONS, "files": AttachedFile}.items()
}


def _profile(row: Mapping[str, Any]) -> Profile:
    files = _decoded("files", row["files"])
    return Profile(
        id=row["id"],
        email=row["email"],
        phone_number=row["phone_number"],
        compliance_documents=COMPLIANCE_DOCUMENTS,
        **{name: row[name] for name in FIELDS},
        **{name: _in_order(_decoded(name, row[name])) for name in _COLLECTIONS},
        **{slot: in_slot(files, slot) for slot in SLOTS},
        **{slot: in_list(files, slot) for slot in LISTS},
    )


def _decoded(name: str, text: str | None) -> list[Any]:
    """A collection's rows; the database says `null` or `[]` for none."""
    return _DECODERS[name].decode(text) if text else []


def _in_order(entries: list[Any]) -> list[Any]:
    return sorted(entries, key=lambda entry: entry.id)


def _rendering(version: int, profile: Profile) -> Rendering:
    body = _ENCODER.encode(ProfileBody(profile))
    return Rendering(version, body, etag_of(body))


_ENCODER = msgspec.json.Encoder()
