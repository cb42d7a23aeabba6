"""What comes by itself, an hour after it came last."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from tests.support.service import run
from tests.support.tables import Tables


def purge_now(settings: Mapping[str, str], tables: Tables) -> None:
    """Have what is out of date go: it takes two readings of the clock."""
    assert run("maintain", settings=settings).returncode == 0
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    jobs = tables["jobs"]
    last = {"run_at": an_hour_ago, "payload": json.dumps({"last_run": an_hour_ago.isoformat()})}
    tables.execute(update(jobs).where(jobs.c.kind == "purge").values(**last))
    assert run("maintain", settings=settings).returncode == 0
