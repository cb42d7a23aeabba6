"""Drivers to load with: written straight into the database, with tokens minted for them."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
from sqlalchemy import Connection, Table, bindparam, insert, text

from bench.databases import SECRET, Database
from roadworthy.accounts import Tokens
from roadworthy.database import Instant, open_database
from roadworthy.documents.tables import attachments, blobs
from roadworthy.profiles.tables import activities, experiences, interviews, licenses, reviews

FULL = 1
"""The driver whose profile has everything: entries in each collection, files in each place."""

NOW = datetime.now(UTC)

_USERS = text(
    """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :users)
    INSERT INTO users (email, password_digest, created_at, updated_at)
    SELECT 'driver' || n || '@example.com', '-', :now, :now FROM numbers
    """
)
_PROFILES = text(
    """
    INSERT INTO profiles (user_id, version, first_name, last_name, postcode, birth_date,
        start_date, contact_phone_number, bio, english_level, created_at, updated_at)
    SELECT id, 1, 'Virgie', 'Luettgen ' || id, '123', '2000-03-20',
        '2020-03-20', '07856 207372', 'Drives since ' || id, 'fluent', :now, :now
    FROM users WHERE id <= :profiles ORDER BY id
    """
)


_COUNT = text("SELECT count(*) FROM profiles")


def seed(database: Database, users: int, profiles: int) -> None:
    """Write `users` drivers, numbered from 1; the first `profiles` of them have a profile."""
    asyncio.run(_seed(database.url, users, profiles))


def count_profiles(database: Database) -> int:
    """How many there are now."""
    return asyncio.run(_count_profiles(database.url))


def mint(first: int, count: int) -> list[str]:
    """Tokens of `count` drivers from number `first`."""
    tokens = Tokens((SECRET,))
    return [tokens.issue(user_id, None, NOW).token for user_id in range(first, first + count)]


async def _seed(url: str, users: int, profiles: int) -> None:
    database = open_database(url)
    await database.open()
    await database.write(_insert_drivers, users, profiles)
    await database.write(_insert_everything)
    await database.close()
    if url.startswith("postgresql:"):
        connection = await asyncpg.connect(url)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        await connection.close()


async def _count_profiles(url: str) -> int:
    database = open_database(url)
    await database.open()
    count = await database.report(lambda c: int(c.execute(_COUNT).scalar_one()))
    await database.close()
    return count


def _insert_drivers(connection: Connection, users: int, profiles: int) -> None:
    now = bindparam("now", NOW, type_=Instant)
    connection.execute(_USERS.bindparams(now, users=users))
    connection.execute(_PROFILES.bindparams(now, profiles=profiles))


def _insert_everything(connection: Connection) -> None:
    for table, entries in _ENTRIES.items():
        for entry in entries:
            connection.execute(insert(table), {"profile_id": FULL, **entry})
    for number, (slot, position) in enumerate(_PLACES, start=1):
        blob = _BLOB | {"key": f"bench-{number}", "filename": f"{slot} {number}.pdf"}
        attached = {"profile_id": FULL, "blob_id": number, "slot": slot, "position": position}
        connection.execute(insert(blobs), blob)
        connection.execute(insert(attachments), attached | {"created_at": NOW})


_DAY = date(2021, 2, 3)
_ENTRIES: dict[Table, list[dict[str, Any]]] = {
    activities: [
        {"kind": "travel", "started_on": _DAY, "ended_on": None, "description": "Perú, “east”"},
        {"kind": "study", "started_on": _DAY, "ended_on": _DAY, "description": None},
    ],
    experiences: [
        {
            "company": "Coaches & <Sons>",
            "description": 'Said "no"\n\tto\x01 \\ it/',
            "ended_on": _DAY,
            "job_title": "Driver",
            "started_on": _DAY,
            "vehicle_types": ["coach", "minibus"],
        },
        {
            "company": "Zoë 🚌",
            "description": None,
            "ended_on": None,
            "job_title": "Driver",
            "started_on": _DAY,
            "vehicle_types": [],
        },
    ],
    interviews: [
        {
            "interviewer": "Kim",
            "location": None,
            "outcome": "good",
            "scheduled_at": datetime(2026, 11, 23, 16, 23, 29, 767_999, UTC),
            "status": "held",
        }
    ],
    licenses: [
        {
            "category": "D",
            "expires_on": _DAY,
            "issued_on": None,
            "number": "LUETT 907180 V99XX",
            "penalty_points": 3,
        }
    ],
    reviews: [
        {"body": "Punctual", "created_at": NOW, "rating": 5, "reviewer": "Sam"},
        {"body": "Calm", "created_at": NOW, "rating": 4, "reviewer": "Alex"},
    ],
}
_PLACES = (
    ("child_safeguard_training", 0),
    ("cpc", 0),
    ("cv", 0),
    ("dbs", 0),
    ("enchanced_dbs", 0),
    ("medical_check", 0),
    ("tacho", 0),
    ("documents", 2),
    ("documents", 1),
    ("driving_license", 2),
    ("driving_license", 1),
)
_BLOB = {
    "content_type": "application/pdf",
    "byte_size": 5_000_000_000,
    "checksum": "-",
    "created_at": NOW,
}
