"""SQL of jobs."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from roadworthy.database import Connection
from roadworthy.jobs.job import LEASE, Job
from roadworthy.jobs.tables import jobs

JOB_STATES = ("waiting", "running", "dead")


class DeadJob(NamedTuple):
    """A job that was given up."""

    id: int
    kind: str
    attempts: int
    last_error: str | None
    died_at: datetime


def enqueue(
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any],
    now: datetime,
    run_at: datetime | None = None,
) -> int:
    """The new job's id; it runs at `run_at`, else `now`, or soon after, if this transaction
    commits.
    """
    created = connection.execute(
        insert(jobs).returning(jobs.c.id),
        {
            "kind": kind,
            "payload": json.dumps(payload),
            "run_at": run_at or now,
            "attempts": 0,
            "created_at": now,
        },
    )
    return int(created.scalar_one())


def ensure_recurring(connection: Connection, kind: str, now: datetime) -> None:
    """There is one row for the recurring work `kind`; a new one is due at once."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(jobs).on_conflict_do_nothing(index_elements=["recurring"]),
        {
            "kind": kind,
            "payload": "{}",
            "recurring": kind,
            "run_at": now,
            "attempts": 0,
            "created_at": now,
        },
    )


def is_job_due(connection: Connection, now: datetime) -> bool:
    """Whether a worker would find something."""
    return connection.execute(select(jobs.c.id).where(_due(now)).limit(1)).first() is not None


def claim_job(connection: Connection, now: datetime) -> Job | None:
    """The job that waits longest, leased to the caller."""
    found = connection.execute(
        select(jobs)
        .where(_due(now))
        .order_by(jobs.c.run_at, jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if found is None:
        return None
    connection.execute(
        update(jobs)
        .where(jobs.c.id == found.id)
        .values(leased_until=now + LEASE, attempts=found.attempts + 1)
    )
    return Job(
        found.id,
        found.kind,
        found.payload,
        found.attempts + 1,
        found.recurring is not None,
    )


def finish_job(connection: Connection, job: Job) -> None:
    """It is done."""
    connection.execute(delete(jobs).where(_held(job)))


def repeat_job(connection: Connection, job: Job, run_at: datetime) -> None:
    """It is done, and comes again at `run_at`."""
    connection.execute(
        update(jobs)
        .where(_held(job))
        .values(run_at=run_at, leased_until=None, attempts=0, last_error=None)
    )


def fail_job(
    connection: Connection, job: Job, error: str, retry_at: datetime | None, now: datetime
) -> None:
    """It failed: it is tried again at `retry_at`, or given up."""
    connection.execute(
        update(jobs)
        .where(_held(job))
        .values(
            leased_until=None,
            last_error=error,
            run_at=retry_at or now,
            died_at=None if retry_at else now,
        )
    )


def revive_job(connection: Connection, job_id: int, now: datetime) -> bool:
    """Try a job again that was given up: whether there was one."""
    revived = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.died_at.is_not(None))
        .values(died_at=None, attempts=0, run_at=now)
    )
    return revived.rowcount == 1


def find_dead_jobs(connection: Connection) -> list[DeadJob]:
    """The jobs that were given up, the latest first."""
    columns = (jobs.c[name] for name in DeadJob._fields)
    rows = connection.execute(
        select(*columns).where(jobs.c.died_at.is_not(None)).order_by(jobs.c.died_at.desc())
    )
    return [DeadJob(*row) for row in rows]


def count_jobs(connection: Connection, now: datetime) -> dict[str, int]:
    """How many jobs are `waiting` (due or later), `running` and `dead`."""
    state = case(
        (jobs.c.died_at.is_not(None), "dead"),
        (jobs.c.leased_until > now, "running"),
        else_="waiting",
    )
    rows = connection.execute(select(state, func.count()).group_by(state))
    return {**dict.fromkeys(JOB_STATES, 0), **dict(rows.all())}


def _held(job: Job) -> ColumnElement[bool]:
    """The row, while nobody else has claimed it: a lease may have ended before the work did."""
    return and_(jobs.c.id == job.id, jobs.c.attempts == job.attempts)


def _due(now: datetime) -> ColumnElement[bool]:
    return and_(
        jobs.c.died_at.is_(None),
        jobs.c.run_at <= now,
        or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now),
    )
