"""Jobs: the next one of a kind is found without a look at those of other kinds."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_index("ix_jobs_due", table_name="jobs")
    op.create_index("ix_jobs_due", "jobs", ["kind", "died_at", "run_at"])
