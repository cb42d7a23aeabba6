"""The profile, the values it had before, and its collections."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import JSON

from roadworthy.database import Identity, Instant, metadata


def _told_by_the_driver() -> list[Column[object]]:
    return [
        Column("first_name", Text, nullable=False),
        Column("last_name", Text, nullable=False),
        Column("postcode", Text, nullable=False),
        Column("birth_date", Date, nullable=False),
        Column("start_date", Date, nullable=False),
        Column("contact_phone_number", Text, nullable=False),
        Column("bio", Text),
        Column("english_level", Text),
    ]


profiles = Table(
    "profiles",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, unique=True),
    Column("version", BigInteger, nullable=False),  # raised by every change to what it shows
    *_told_by_the_driver(),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),  # when these values were recorded
    sqlite_autoincrement=True,  # an id is never given twice: renderings are cached by it
)

profile_versions = Table(
    "profile_versions",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("profile_id", BigInteger, nullable=False),  # outlives the profile
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("version", BigInteger, nullable=False),
    *_told_by_the_driver(),
    Column("recorded_at", Instant, nullable=False),
    Column("superseded_at", Instant, nullable=False),  # by other values, or by deletion
    UniqueConstraint("profile_id", "version"),
    sqlite_autoincrement=True,
)


def _collection(name: str, *columns: Column[object]) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Identity, primary_key=True),
        Column(
            "profile_id",
            ForeignKey("profiles.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        *columns,
        sqlite_autoincrement=True,
    )


activities = _collection(
    "activities",
    Column("description", Text),
    Column("ended_on", Date),
    Column("kind", Text, nullable=False),
    Column("started_on", Date, nullable=False),
)

experiences = _collection(
    "experiences",
    Column("company", Text, nullable=False),
    Column("description", Text),
    Column("ended_on", Date),
    Column("job_title", Text, nullable=False),
    Column("started_on", Date, nullable=False),
    Column("vehicle_types", JSON, nullable=False),
)

interviews = _collection(
    "interviews",
    Column("interviewer", Text, nullable=False),
    Column("location", Text),
    Column("outcome", Text),
    Column("scheduled_at", Instant, nullable=False),
    Column("status", Text, nullable=False),
)

licenses = _collection(
    "licenses",
    Column("category", Text, nullable=False),
    Column("expires_on", Date),
    Column("issued_on", Date),
    Column("number", Text, nullable=False),
    Column("penalty_points", Integer, nullable=False),
)

reviews = _collection(
    "reviews",
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("rating", Integer, nullable=False),
    Column("reviewer", Text, nullable=False),
)

COLLECTIONS = (activities, experiences, interviews, licenses, reviews)
