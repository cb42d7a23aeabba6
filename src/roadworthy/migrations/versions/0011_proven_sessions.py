"""Sessions that are kept while their password is still being verified."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column(
        "sessions", sa.Column("is_proven", sa.Boolean(), nullable=False, server_default=sa.true())
    )
