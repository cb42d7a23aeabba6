"""Drivers who are signed in, and those who have a profile."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher

from roadworthy.accounts import Tokens
from tests.support.client import Answer, Client
from tests.support.service import SECRET
from tests.support.tables import Tables

PROFILE_PATH = "/api/v1/users/profile"
PASSWORD = "correct horse battery"

FIELDS: Mapping[str, str] = {
    "first_name": "Virgie",
    "last_name": "Luettgen",
    "postcode": "123",
    "start_date": "2020-03-20",
    "birth_date": "2000-03-20",
    "contact_phone_number": "07856 207372",
}
"""The six required fields of the documented request."""

NOTHING_ATTACHED = {"id": None, "signed_id": None, "byte_size": None, "filename": "", "url": None}

_QUICK_DIGEST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""argon2id says in the digest what it costs: this one costs a sign-in next to nothing."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Driver:
    """A user who holds a token."""

    id: int
    email: str
    token: str
    profile_id: int | None = None

    @property
    def signed(self) -> dict[str, str]:
        """The header that says who asks."""
        return {"authorization": f"Bearer {self.token}"}

    def send(
        self,
        client: Client,
        method: str,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request to the profile with `fields` as JSON."""
        sent = {**self.signed, **(headers or {})}
        if fields is None:
            return client.send(method, PROFILE_PATH, sent)
        sent["content-type"] = "application/json"
        return client.send(method, PROFILE_PATH, sent, json.dumps({"profile": fields}))


def new_driver(tables: Tables, **values: Any) -> Driver:
    """Signed in without the cost of a password: the row is written, the token made, directly."""
    now = datetime.now(UTC)
    user = {
        "email": f"driver{next(_numbers)}.{now.timestamp()}@example.com",
        "password_digest": _QUICK_DIGEST,
        **values,
    }
    user_id = tables.add("users", created_at=now, updated_at=now, **user)
    return Driver(user_id, user["email"], Tokens((SECRET,)).issue(user_id, None, now).token)


def add_session(tables: Tables, driver: Driver, jti: str, **values: Any) -> None:
    """As if the driver had signed in and been given the token `jti`."""
    now = datetime.now(UTC)
    row = {"created_at": now, "expires_at": now + timedelta(days=30), **values}
    sessions = tables["sessions"]
    tables.execute(sessions.insert().values(jti=jti, user_id=driver.id, **row))


def with_profile(tables: Tables, driver: Driver, **values: Any) -> Driver:
    """The driver with the documented profile, written directly."""
    now = datetime.now(UTC)
    days = {name: date.fromisoformat(FIELDS[name]) for name in ("birth_date", "start_date")}
    profile_id = tables.add(
        "profiles",
        user_id=driver.id,
        created_at=now,
        updated_at=now,
        **{**FIELDS, **days, "version": 1, **values},
    )
    return Driver(driver.id, driver.email, driver.token, profile_id)


def shown(profile_id: int, email: str, **fields: Any) -> dict[str, Any]:
    """The documented response, in its order, for a driver of whom only `fields` differ."""
    return {
        "profile": {
            "id": profile_id,
            "activities": [],
            "bio": None,
            "birth_date": "2000-03-20",
            "child_safeguard_training": NOTHING_ATTACHED,
            "compliance_documents": [
                "dbs",
                "tacho",
                "enchanced_dbs",
                "cpc",
                "medical_check",
                "child_safeguard_training",
            ],
            "contact_phone_number": "07856 207372",
            "cpc": NOTHING_ATTACHED,
            "cv": NOTHING_ATTACHED,
            "dbs": NOTHING_ATTACHED,
            "documents": [],
            "driving_license": [],
            "email": email,
            "enchanced_dbs": NOTHING_ATTACHED,
            "english_level": None,
            "experiences": [],
            "first_name": "Virgie",
            "interviews": [],
            "last_name": "Luettgen",
            "licenses": [],
            "medical_check": NOTHING_ATTACHED,
            "phone_number": None,
            "postcode": "123",
            "reviews": [],
            "start_date": "2020-03-20",
            "tacho": NOTHING_ATTACHED,
            **fields,
        }
    }


def compact(value: object) -> str:
    """JSON as the service writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
