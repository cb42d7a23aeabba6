"""Closed accounts: the address that each had, which may be somebody else's since."""

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Identity

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "closed_accounts",
        sa.Column("user_id", Identity, autoincrement=False, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_closed_accounts_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_closed_accounts")),
    )
