"""Which kinds of password digest are in use."""

import re
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from roadworthy.database import Instant

revision = "0013"
down_revision = "0012"

_KIND = re.compile(r"\$argon2id\$v=19\$m=\d+,t=\d+,p=1|\$2b\$(0[4-9]|1[0-5])", re.ASCII)


def upgrade() -> None:
    kinds = op.create_table(
        "digest_kinds",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_digest_kinds")),
    )
    found = op.get_bind().execute(sa.text(_FOUND)).scalars()
    now = datetime.now(UTC)
    op.bulk_insert(kinds, [{"kind": each, "seen_at": now} for each in found if _is_kind(each)])


def _is_kind(text: str) -> bool:
    return _KIND.fullmatch(text) is not None


_FOUND = """
SELECT DISTINCT '$2b' || substr(password_digest, 4, 3) FROM users
WHERE password_digest LIKE '$2_$__$%' AND closed_at IS NULL
UNION
SELECT DISTINCT substr(password_digest, 1, length(password_digest) - 67) FROM users
WHERE password_digest LIKE '$argon2id$%' AND length(password_digest) > 67 AND closed_at IS NULL
"""
