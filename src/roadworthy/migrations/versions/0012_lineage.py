"""Which database tombstones are of, and when everybody was signed out."""

import hashlib
import secrets

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Instant

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    lineage = op.create_table(
        "lineage",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lineage")),
    )
    op.bulk_insert(lineage, [{"name": _name(), "position": 1}])
    op.add_column("users", sa.Column("signed_out_at", Instant()))


def _name() -> str:
    """The same for every older copy of a database, so that what is noted of one is of all."""
    oldest = sa.text("SELECT id, created_at FROM users ORDER BY id LIMIT 1")
    user = op.get_bind().execute(oldest).first()
    if user is None:
        return secrets.token_hex(8)
    return hashlib.sha256(f"{user[0]} {user[1]}".encode()).hexdigest()[:16]
