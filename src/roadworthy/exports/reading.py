"""What the index says: the rows in words, without what only machines read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

Row = Mapping[str, Any]
Held = Mapping[str, Sequence[Row]]

_KILO = 1000


class File(NamedTuple):
    """A file by its name; `path` is where it is in the archive, if it is."""

    filename: str
    path: str | None


class Entry(NamedTuple):
    """One thing that is held: label and value of what there is to say about it."""

    facts: Sequence[tuple[str, str | File]]
    title: File | None = None


class Section(NamedTuple):
    """Things of one kind; `note` is about them all."""

    title: str
    entries: Sequence[Entry]
    note: str | None = None


def sections(held: Held) -> list[Section]:
    """All of it, what matters most to a driver first."""
    files = _Files(held)
    said: dict[str, Sequence[Entry]] = {
        name: [_entry(name, row, files) for row in held[name]] for name in LABELS
    }
    said["files"] = [files.entry(row) for row in held["files"]]
    said["file_views"] = _views(held["file_views"], files)
    said["known_addresses"] = _places(held["known_addresses"])
    return [Section(title, said[name], _NOTES.get(name)) for name, title in TITLES.items()]


class _Files:
    """Finds files by the ids of their rows."""

    def __init__(self, held: Held):
        self._files = {
            row["id"]: File(row["filename"], row.get("in_this_archive")) for row in held["files"]
        }
        self._attachments = {row["blob_id"]: row for row in held["attachments"]}
        self._kinds = {row["blob_id"]: row["kind"] for row in held["submissions"]}
        self._downloads = {row["blob_id"] for row in held["data_exports"]}

    def named(self, blob_id: int) -> File:
        return self._files.get(blob_id, File("A file that we no longer have", None))

    def entry(self, row: Row) -> Entry:
        facts = [
            ("Place", self._place(row["id"])),
            *_facts("files", row, self),
            *self._absence(row),
        ]
        return Entry(facts, self.named(row["id"]))

    def _place(self, blob_id: int) -> str:
        if attachment := self._attachments.get(blob_id):
            placed_at = attachment["created_at"].astimezone(UTC)
            return f"{_slot(attachment['slot'])}, since {_day_text(placed_at)}"
        if blob_id in self._kinds:
            return f"none; it was handed in as: {_slot(self._kinds[blob_id])}"
        return "none in your profile"

    def _absence(self, row: Row) -> Iterable[tuple[str, str]]:
        if row.get("in_this_archive") is not None or row["purged_at"] is not None:
            return
        if row["id"] in self._downloads:
            yield "Not in here", "it is a download like this one"
        elif row["uploaded_at"] is None:
            yield "Not in here", "it never arrived whole"
        else:
            yield "Not in here", "we could not find it"


def _entry(name: str, row: Row, files: _Files) -> Entry:
    return Entry(_facts(name, row, files))


def _facts(name: str, row: Row, files: _Files) -> list[tuple[str, str | File]]:
    return [
        (label, files.named(row[column]) if column == "blob_id" else _said(name, column, row))
        for column, label in LABELS[name].items()
        if row[column] not in (None, "", [])
    ]


def _said(name: str, column: str, row: Row) -> str:
    value = row[column]
    if (name, column) in _WORDS:
        return _WORDS[name, column].get(value, value)
    if column in _SIZES:
        return size_text(value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return _day_text(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _views(rows: Iterable[Row], files: _Files) -> list[Entry]:
    """One entry for each file, with all times at which it was shown."""
    facts: defaultdict[int, list[tuple[str, str | File]]] = defaultdict(list)
    for row in rows:
        how, who = _MANNERS[row["manner"]], _VIEWERS[row["viewer_kind"]]
        facts[row["blob_id"]].append((f"{how} by {who}", instant_text(row["viewed_at"])))
    return [Entry(times, files.named(blob_id)) for blob_id, times in facts.items()]


def _places(rows: Iterable[Row]) -> list[Entry]:
    days = sorted((row["seen_at"] for row in rows), reverse=True)
    facts = [(f"Place {number}", instant_text(day)) for number, day in enumerate(days, 1)]
    return [Entry(facts)] if facts else []


def instant_text(instant: datetime) -> str:
    """As people write it: `25 November 2026, 01:57 UTC`."""
    instant = instant.astimezone(UTC)
    return f"{_day_text(instant)}, {instant:%H:%M} UTC"


def _day_text(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def size_text(count: int) -> str:
    """As people write it: `619 bytes`, `1.4 MB`."""
    if count < _KILO:
        return f"{count} bytes"
    amount = count / _KILO
    for unit in ("kB", "MB"):
        if round(amount, 1) < _KILO:
            return f"{amount:.1f} {unit}"
        amount /= _KILO
    return f"{amount:.1f} GB"


def _slot(name: str) -> str:
    return _SLOTS.get(name, name)


TITLES = {
    "account": "Your account",
    "profiles": "Your profile",
    "files": "Your files",
    "submissions": "Documents you handed in",
    "file_views": "Who was shown your files",
    "licenses": "Driving entitlements",
    "experiences": "Jobs",
    "activities": "Activities",
    "interviews": "Interviews",
    "reviews": "Reviews",
    "profile_versions": "What your profile said before",
    "sessions": "Where you are signed in",
    "known_addresses": "When you last signed in from each place",
    "mailed_links": "Links mailed to you",
    "uploads": "Files you began to send piece by piece in the last day",
    "data_exports": "Downloads like this one",
}

_NOTES = {
    "known_addresses": "We do not keep where these places are, only enough to know them again.",
}

_PROFILE = {
    "first_name": "First name",
    "last_name": "Last name",
    "birth_date": "Born",
    "postcode": "Postcode",
    "contact_phone_number": "Phone",
    "start_date": "Start date",
    "english_level": "English",
    "bio": "About you",
}

LABELS: Mapping[str, Mapping[str, str]] = {
    "account": {
        "email": "E-mail",
        "phone_number": "Phone",
        "created_at": "Opened",
        "confirmed_at": "Confirmed",
        "password_changed_at": "New password",
        "signed_out_at": "Signed out by the operator",
        "updated_at": "Last changed",
        "closed_at": "Closed",
    },
    "profiles": {**_PROFILE, "created_at": "Made", "updated_at": "Last changed"},
    "files": {"byte_size": "Size", "created_at": "Added", "purged_at": "Deleted"},
    "submissions": {
        "kind": "As",
        "blob_id": "File",
        "reference_number": "Reference",
        "issued_on": "Issued",
        "expires_on": "Expires",
        "created_at": "Handed in",
        "withdrawn_at": "Withdrawn",
    },
    "licenses": {
        "category": "Category",
        "number": "Number",
        "issued_on": "Issued",
        "expires_on": "Expires",
        "penalty_points": "Penalty points",
    },
    "experiences": {
        "job_title": "Job",
        "company": "Company",
        "started_on": "From",
        "ended_on": "Until",
        "vehicle_types": "Vehicles",
        "description": "Description",
    },
    "activities": {
        "kind": "Kind",
        "started_on": "From",
        "ended_on": "Until",
        "description": "Description",
    },
    "interviews": {
        "scheduled_at": "When",
        "location": "Where",
        "interviewer": "With",
        "status": "Status",
        "outcome": "Outcome",
    },
    "reviews": {
        "reviewer": "By",
        "rating": "Rating",
        "body": "Review",
        "created_at": "Written",
    },
    "profile_versions": {**_PROFILE, "recorded_at": "From", "superseded_at": "Until"},
    "sessions": {
        "created_at": "Signed in",
        "expires_at": "Ends",
        "address": "IP address",
        "user_agent": "With",
    },
    "mailed_links": {"purpose": "Link to", "email": "Sent to", "expires_at": "Good until"},
    "uploads": {
        "filename": "Name",
        "blob_id": "File",
        "byte_size": "Size",
        "offset": "Received",
        "created_at": "Begun",
        "expires_at": "Kept until",
    },
    "data_exports": {"requested_at": "Asked for", "expires_at": "Kept until"},
}
"""What is said of a row, column by column; an empty one is left out."""

_SIZES = frozenset({"byte_size", "offset"})

_SLOTS = {
    "cv": "CV",
    "dbs": "DBS certificate",
    "enchanced_dbs": "Enhanced DBS certificate",
    "tacho": "Tachograph card",
    "cpc": "CPC card",
    "medical_check": "Medical check",
    "child_safeguard_training": "Child safeguarding training",
    "driving_license": "Driving licence",
    "documents": "Documents",
}

_WORDS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("submissions", "kind"): _SLOTS,
    ("mailed_links", "purpose"): {
        "confirmation": "confirm your address",
        "reset": "choose a new password",
        "export": "download what we hold about you",
    },
}

_MANNERS = {"attachment": "Downloaded", "inline": "Looked at"}

_VIEWERS = {"driver": "you", "staff": "our staff"}
