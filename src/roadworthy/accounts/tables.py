"""Who may sign in, and which tokens no longer count."""

from sqlalchemy import Column, Table, Text

from roadworthy.database import Identity, Instant, metadata

users = Table(
    "users",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("email", Text, nullable=False, unique=True),  # lower case, no outer spaces
    Column("password_digest", Text, nullable=False),
    Column("phone_number", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    sqlite_autoincrement=True,  # an id is never given twice
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", Text, primary_key=True),
    Column("expires_at", Instant, index=True),  # null: never; after it the row is not needed
)
