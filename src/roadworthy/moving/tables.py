"""Where rows wait until all are judged: temporary tables, which end with their connection.

So an import that is cut off leaves nothing behind, and takes no part in the schema.
"""

from sqlalchemy import Column, Date, MetaData, Table, Text

from roadworthy.database import Identity, Instant

staging = MetaData()


def _staged(name: str, *columns: Column[object]) -> Table:
    line = Column("line", Identity, primary_key=True, autoincrement=False)
    return Table(name, staging, line, *columns, prefixes=["TEMPORARY"])


staged_users = _staged(
    "staged_users",
    Column("id", Identity),
    Column("email", Text),
    Column("password_digest", Text),
    Column("phone_number", Text),
    Column("created_at", Instant),
    Column("updated_at", Instant),
    Column("confirmed_at", Instant),
)

staged_profiles = _staged(
    "staged_profiles",
    Column("id", Identity),
    Column("user_id", Identity),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("postcode", Text),
    Column("birth_date", Date),
    Column("start_date", Date),
    Column("contact_phone_number", Text),
    Column("bio", Text),
    Column("english_level", Text),
    Column("created_at", Instant),
    Column("updated_at", Instant),
)

staged_tokens = _staged(
    "staged_tokens",
    Column("jti", Text),
    Column("expires_at", Instant),
)

refusals = Table(
    "refusals",
    staging,
    Column("id", Identity, primary_key=True),  # what is wrong with a row is told in this order
    Column("line", Identity, nullable=False, index=True),
    Column("column", Text),  # null: the row as a whole
    Column("reason", Text, nullable=False),
    prefixes=["TEMPORARY"],
)
