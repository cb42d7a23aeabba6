"""Who may sign in, where they are signed in, and which tokens no longer count."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, LargeBinary, Table, Text, true

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
    Column("confirmed_at", Instant),  # that the address is theirs
    Column("password_changed_at", Instant),  # since then only tokens with a session count,
    Column("signed_out_at", Instant),  # as since then
    Column("closed_at", Instant),  # nobody signs in any more; `email` is a stand-in without an @
    sqlite_autoincrement=True,  # an id is never given twice
)

closed_accounts = Table(
    "closed_accounts",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("email", Text, nullable=False),  # the address it had: whose the evidence is
)

sessions = Table(
    "sessions",
    metadata,
    Column("jti", Text, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("address", Text),  # where the sign-in came from
    Column("user_agent", Text),
    Column("is_proven", Boolean, nullable=False, server_default=true()),  # password was right
)

digest_kinds = Table(
    "digest_kinds",
    metadata,
    Column("kind", Text, primary_key=True),  # see `digests.py`
    Column("seen_at", Instant, nullable=False),  # when an account last had it
)

known_addresses = Table(
    "known_addresses",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("place", LargeBinary, primary_key=True),  # keyed digest of where they signed in
    Column("seen_at", Instant, nullable=False, index=True),  # to the day
)

throttles = Table(
    "throttles",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # keyed digest of what is counted, and for whom
    Column("clear_at", BigInteger, nullable=False, index=True),  # see `Counter`; then not needed
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", Text, primary_key=True),
    Column("expires_at", Instant, index=True),  # null: never; after it the row is not needed
)

mailed_links = Table(
    "mailed_links",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of what the link carries
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("purpose", Text, nullable=False),  # confirmation, reset, export
    Column("email", Text, nullable=False),  # the address it was sent to
    Column("expires_at", Instant, nullable=False, index=True),
)
