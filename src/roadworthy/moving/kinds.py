"""What can be moved in: which columns a dump has, what becomes of them, and what contradicts it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.sql import literal

from roadworthy.accounts import revoked_tokens, users
from roadworthy.database import Connection
from roadworthy.moving.ended import bury_staged_tokens, take_changed_passwords
from roadworthy.moving.rows import Given, judge_profile_row, judge_token_row, judge_user_row
from roadworthy.moving.tables import staged_profiles, staged_tokens, staged_users
from roadworthy.profiles import FIELDS, profile_versions, profiles
from roadworthy.tombstones import closed_user_ids
from roadworthy.wire import Fields

Refusals = Select[tuple[int, str, str]]
"""Lines that contradict something, with the column of the dump and the reason."""


@dataclass(frozen=True)
class Kind:
    """One kind of dump."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    judge: Callable[[Given, datetime], Fields]
    staged: Table
    target: Table
    unique: tuple[str, ...]
    """Columns that may hold nothing twice; by the first of them rows are known."""
    here: tuple[Refusals, ...]
    """What contradicts the rows that are here."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Columns whose name in our tables is another."""
    added: Mapping[str, Any] = field(default_factory=dict)
    """Values of every row that no dump has."""
    named: Select[int] | None = None
    """Rows of another table that those taken over will name."""
    digests: Column[Any] | None = None
    """Where the staged rows have digests of passwords."""
    then: Callable[[Connection], None] | None = None
    """What is due once rows are taken over, in the same transaction."""

    @property
    def key(self) -> str:
        """The column by which rows are known."""
        return self.unique[0]

    def staged_name(self, column: str) -> str:
        """What a column of the dump is called where it is staged."""
        return self.renamed.get(column, column)


def _refused(
    staged: Table, column: str, reason: ColumnElement[str], *conditions: ColumnElement[bool]
) -> Refusals:
    return select(staged.c.line, literal(column), reason).where(*conditions)


def _differs(
    staged: Table, target: Table, key: str, differences: Mapping[str, ColumnElement[bool]]
) -> Refusals:
    """Rows that are here with other values; which columns differ is said, not their values."""
    words: ColumnElement[str] = literal("")
    for name, differs in differences.items():
        words = words + case((differs, literal(f", {name}")), else_=literal(""))
    return _refused(
        staged,
        key,
        literal("is here already, and differs in ") + func.substr(words, 3, type_=Text),
        staged.c[key] == target.c[key],
        or_(*differences.values()),
    )


def _other(staged: Table, target: Table, *names: str) -> dict[str, ColumnElement[bool]]:
    return {name: staged.c[name].is_distinct_from(target.c[name]) for name in names}


def _taken_by(noun: str, staged: Table, target: Table, column: str) -> Refusals:
    """Rows that want what another row here has."""
    return _refused(
        staged,
        column,
        literal(f"has already been taken, by {noun} ") + cast(target.c.id, Text),
        staged.c[column] == target.c[column],
        staged.c.id.is_distinct_from(target.c.id),
    )


_USER_DIFFERENCES = {
    **_other(staged_users, users, "email"),
    "encrypted_password": and_(
        users.c.password_digest.startswith("$2"),  # else it was hashed anew, or changed, here
        staged_users.c.password_digest != users.c.password_digest,
    ),
    **_other(staged_users, users, "phone_number", "created_at"),
    "confirmed_at": and_(
        staged_users.c.confirmed_at.is_not(None),  # else it may have been confirmed here
        staged_users.c.confirmed_at.is_distinct_from(users.c.confirmed_at),
    ),
}

USERS = Kind(
    name="users",
    required=("id", "email", "encrypted_password", "phone_number", "created_at"),
    optional=("updated_at", "confirmed_at"),
    judge=judge_user_row,
    staged=staged_users,
    target=users,
    unique=("id", "email"),
    here=(
        _differs(staged_users, users, "id", _USER_DIFFERENCES),
        _refused(
            staged_users,
            "id",
            literal("was an account here, which was closed"),
            staged_users.c.id.in_(closed_user_ids()),
            ~exists().where(users.c.id == staged_users.c.id),
        ),
        _taken_by("account", staged_users, users, "email"),
    ),
    renamed={"encrypted_password": "password_digest"},
    digests=staged_users.c.password_digest,
    then=take_changed_passwords,
)

PROFILES = Kind(
    name="profiles",
    required=("id", "user_id", *FIELDS[:6]),
    optional=("bio", "english_level", "created_at", "updated_at"),
    judge=judge_profile_row,
    staged=staged_profiles,
    target=profiles,
    unique=("id", "user_id"),
    here=(
        _differs(
            staged_profiles,
            profiles,
            "id",
            _other(staged_profiles, profiles, "user_id", *FIELDS),
        ),
        _refused(
            staged_profiles,
            "id",
            literal("was a profile here, which was deleted"),
            exists().where(profile_versions.c.profile_id == staged_profiles.c.id),
            ~exists().where(profiles.c.id == staged_profiles.c.id),
        ),
        _refused(
            staged_profiles,
            "user_id",
            literal("is no account here"),
            staged_profiles.c.user_id.is_not(None),
            ~exists().where(users.c.id == staged_profiles.c.user_id, users.c.closed_at.is_(None)),
        ),
        _taken_by("profile", staged_profiles, profiles, "user_id"),
    ),
    added={"version": 1},
    named=select(users.c.id).where(users.c.id.in_(select(staged_profiles.c.user_id))),
)

TOKENS = Kind(
    name="tokens",
    required=("jti", "exp"),
    optional=(),
    judge=judge_token_row,
    staged=staged_tokens,
    target=revoked_tokens,
    unique=("jti",),
    here=(
        _differs(
            staged_tokens,
            revoked_tokens,
            "jti",
            {"exp": staged_tokens.c.expires_at.is_distinct_from(revoked_tokens.c.expires_at)},
        ),
    ),
    renamed={"exp": "expires_at"},
    then=bury_staged_tokens,
)
