"""The one place that turns a profile into bytes."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from roadworthy.documents import AttachedFile, Links, Outlook, in_list, in_slot
from roadworthy.profiles.profile import COMPLIANCE_DOCUMENTS
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

MOST_KEPT_BYTES = 12 * 1024 * 1024


class Rendering(NamedTuple):
    """A profile's bytes at one version, with their entity tag."""

    version: int
    recorded: datetime
    body: bytes
    etag: str
    outlook: Outlook | None
    """What the URLs in it depend on, if there are any."""

    def holds(self, outlook: Callable[[], Outlook]) -> bool:
        """Whether it is what would be shown now."""
        return self.outlook is None or self.outlook == outlook()

    @property
    def size(self) -> int:
        """Bytes of memory, more or less."""
        return len(self.body) + 600


class Renderings:
    """The profiles shown last, each at its newest version known here.

    Nothing stale can be shown: whoever asks has just read the version from the database. In another
    database, restored under our eyes or not, a version may be another content: it is told by when
    its values were recorded. Files and the account leave that alone: `forget` when it is seen.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Rendering] = OrderedDict()
        self._size = 0

    def find(self, profile_id: int, version: int, recorded: datetime) -> Rendering | None:
        """The rendering of that very version, recorded just then, if it is kept."""
        kept = self._kept.get(profile_id)
        if kept is None or kept.version != version or kept.recorded != recorded:
            return None
        self._kept.move_to_end(profile_id)
        return kept

    def keep(self, profile_id: int, rendering: Rendering) -> Rendering:
        """Keep `rendering`, in place of those not shown for longest."""
        replaced = self._kept.pop(profile_id, None)
        self._size += rendering.size - (replaced.size if replaced else 0)
        self._kept[profile_id] = rendering
        while self._size > MOST_KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size
        return rendering

    def forget(self) -> None:
        """Keep none."""
        self._kept.clear()
        self._size = 0


def render(row: Mapping[str, Any], links: Links | None) -> Rendering:
    """The documented bytes of a profile read whole (`find_profile`); `links` for its files."""
    files: list[AttachedFile] = _decoded("files", row)
    body = _ENCODER.encode(ProfileBody(_profile(row, files, links)))
    outlook = links.outlook if links and files else None
    return Rendering(row["version"], row["updated_at"], body, etag_of(body), outlook)


def render_new(
    profile_id: int,
    email: str,
    phone_number: str | None,
    values: Mapping[str, Any],
    now: datetime,
) -> Rendering:
    """The same for a profile just created: at version 1, with nothing attached to it yet."""
    account = {"email": email, "phone_number": phone_number}
    new = {"id": profile_id, "version": 1, "updated_at": now}
    return render({**_BLANK, **values, **account, **new}, None)


def _profile(row: Mapping[str, Any], files: Sequence[AttachedFile], links: Links | None) -> Profile:
    return Profile(
        id=row["id"],
        activities=_decoded("activities", row),
        bio=row["bio"],
        birth_date=row["birth_date"],
        child_safeguard_training=in_slot(files, "child_safeguard_training", links),
        compliance_documents=COMPLIANCE_DOCUMENTS,
        contact_phone_number=row["contact_phone_number"],
        cpc=in_slot(files, "cpc", links),
        cv=in_slot(files, "cv", links),
        dbs=in_slot(files, "dbs", links),
        documents=in_list(files, "documents", links),
        driving_license=in_list(files, "driving_license", links),
        email=row["email"],
        enchanced_dbs=in_slot(files, "enchanced_dbs", links),
        english_level=row["english_level"],
        experiences=_decoded("experiences", row),
        first_name=row["first_name"],
        interviews=_decoded("interviews", row),
        last_name=row["last_name"],
        licenses=_decoded("licenses", row),
        medical_check=in_slot(files, "medical_check", links),
        phone_number=row["phone_number"],
        postcode=row["postcode"],
        reviews=_decoded("reviews", row),
        start_date=row["start_date"],
        tacho=in_slot(files, "tacho", links),
    )


_KINDS: dict[str, type] = {
    "activities": Activity,
    "experiences": Experience,
    "files": AttachedFile,
    "interviews": Interview,
    "licenses": License,
    "reviews": Review,
}
_DECODERS: dict[str, msgspec.json.Decoder[list[Any]]] = {
    name: msgspec.json.Decoder(list[kind], dec_hook=decode_moment)  # type: ignore[valid-type]
    for name, kind in _KINDS.items()
}
_BLANK = {"bio": None, "english_level": None, **dict.fromkeys(_KINDS)}


def _decoded(name: str, row: Mapping[str, Any]) -> list[Any]:
    """A collection in the order of its ids; the database says `null` or `[]` for none."""
    text = row[name]
    return sorted(_DECODERS[name].decode(text), key=lambda entry: entry.id) if text else []


_ENCODER = msgspec.json.Encoder(enc_hook=str)  # a `Moment` is the text it shows
