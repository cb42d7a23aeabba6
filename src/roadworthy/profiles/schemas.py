"""The profile on the wire: `id` first, then the other keys in alphabetical order."""

from datetime import date, datetime

import msgspec

from roadworthy.documents import Attachment
from roadworthy.wire import instant_text


class Moment(str):
    """An instant as the wire shows it: UTC, to the millisecond."""

    __slots__ = ()


def decode_moment(_: type, text: str) -> Moment:
    """A `Moment` of the database's text; msgspec's hook for types that are not its own."""
    return Moment(instant_text(datetime.fromisoformat(text)))


class Activity(msgspec.Struct, frozen=True):
    """What fills the five-year history besides jobs."""

    id: int
    description: str | None
    ended_on: date | None
    kind: str
    started_on: date


class Experience(msgspec.Struct, frozen=True):
    """A job."""

    id: int
    company: str
    description: str | None
    ended_on: date | None
    job_title: str
    started_on: date
    vehicle_types: list[str]


class Interview(msgspec.Struct, frozen=True):
    """A meeting with staff."""

    id: int
    interviewer: str
    location: str | None
    outcome: str | None
    scheduled_at: Moment
    status: str


class License(msgspec.Struct, frozen=True):
    """A driving entitlement."""

    id: int
    category: str
    expires_on: date | None
    issued_on: date | None
    number: str
    penalty_points: int


class Review(msgspec.Struct, frozen=True):
    """What staff think of the driver's work."""

    id: int
    body: str
    created_at: Moment
    rating: int
    reviewer: str


class Profile(msgspec.Struct, frozen=True):
    """Everything the documented response holds. `enchanced_dbs` is spelt so on the wire."""

    id: int
    activities: list[Activity]
    bio: str | None
    birth_date: date
    child_safeguard_training: Attachment
    compliance_documents: tuple[str, ...]
    contact_phone_number: str
    cpc: Attachment
    cv: Attachment
    dbs: Attachment
    documents: list[Attachment]
    driving_license: list[Attachment]
    email: str
    enchanced_dbs: Attachment
    english_level: str | None
    experiences: list[Experience]
    first_name: str
    interviews: list[Interview]
    last_name: str
    licenses: list[License]
    medical_check: Attachment
    phone_number: str | None
    postcode: str
    reviews: list[Review]
    start_date: date
    tacho: Attachment


class ProfileBody(msgspec.Struct, frozen=True):
    """`{"profile": …}`."""

    profile: Profile
