"""SQL of jobs."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from roadworthy.database import Connection, Instant, Prepared, upsert
from roadworthy.jobs.job import LEASE, LONGEST_LEASE, Job, latest_run
from roadworthy.jobs.purging import delete_some
from roadworthy.jobs.tables import jobs

JOB_STATES = ("waiting", "failing", "running", "dead")


class FailedJob(NamedTuple):
    """A job that failed: it is tried again at `run_at`, unless it was given up."""

    id: int
    kind: str
    attempts: int
    last_error: str | None
    run_at: datetime
    died_at: datetime | None


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


def find_recurring(connection: Connection) -> dict[str, datetime]:
    """The kinds of recurring work that are planned, and when each comes again."""
    planned = select(jobs.c.recurring, jobs.c.run_at).where(jobs.c.recurring.is_not(None))
    return {row.recurring: row.run_at for row in connection.execute(planned)}


def plan_recurring(connection: Connection, kind: str, every: timedelta, now: datetime) -> None:
    """There is one row for the recurring work `kind`: a new one is due at once, one that was put
    off too far after `every`.
    """
    connection.execute(
        upsert(connection.dialect.name, jobs).on_conflict_do_update(
            index_elements=["recurring"],
            set_={"run_at": now + every},
            where=jobs.c.run_at > latest_run(every, now),
        ),
        {
            "kind": kind,
            "payload": "{}",
            "recurring": kind,
            "run_at": now,
            "attempts": 0,
            "created_at": now,
        },
    )


def find_due_kinds(connection: Connection, kinds: Iterable[str], now: datetime) -> list[str]:
    """Those of `kinds` of which a worker would find a job."""
    asked = tuple(kinds)
    values = {"now": now, "too_far": now + LONGEST_LEASE, **{kind: kind for kind in asked}}
    return [kind for (kind,) in _due_kinds(asked).rows(connection, values)]


def claim_job(connection: Connection, kind: str, now: datetime) -> Job | None:
    """The job of a kind that waits longest, leased to the caller."""
    found = connection.execute(
        select(jobs)
        .where(_due(literal(kind), literal(now, Instant), literal(now + LONGEST_LEASE, Instant)))
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
        now,
    )


def renew_lease(connection: Connection, job: Job, now: datetime) -> None:
    """It is still being done."""
    connection.execute(update(jobs).where(_held(job)).values(leased_until=now + LEASE))


def finish_job(connection: Connection, job: Job) -> None:
    """It is done."""
    connection.execute(delete(jobs).where(_held(job)))


def find_last_run(connection: Connection, kind: str) -> datetime | None:
    """When the recurring work `kind` was last done, if it was."""
    payload = select(jobs.c.payload).where(jobs.c.recurring == kind)
    last_run = json.loads(connection.execute(payload).scalar() or "{}").get("last_run")
    return datetime.fromisoformat(last_run) if last_run else None


def repeat_job(
    connection: Connection, job: Job, run_at: datetime, error: str | None = None
) -> None:
    """It is done, as far as `error` lets it be, and comes again at `run_at`."""
    connection.execute(
        update(jobs)
        .where(_held(job))
        .values(
            payload=json.dumps({"last_run": job.begun_at.isoformat()}),
            run_at=run_at,
            leased_until=None,
            attempts=job.attempts if error else 0,
            last_error=error,
        )
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
        .values(died_at=None, attempts=0, last_error=None, run_at=now)
    )
    return revived.rowcount == 1


def purge_dead_jobs(connection: Connection, until: datetime) -> int:
    """Forget some of the jobs that were given up at `until` or before: how many."""
    return delete_some(connection, jobs, jobs.c.died_at <= until)


def find_failed_jobs(connection: Connection) -> list[FailedJob]:
    """The jobs that failed: first those that were given up, the latest first."""
    columns = (jobs.c[name] for name in FailedJob._fields)
    rows = connection.execute(
        select(*columns)
        .where(or_(jobs.c.died_at.is_not(None), jobs.c.last_error.is_not(None)))
        .order_by(jobs.c.died_at.desc().nulls_last(), jobs.c.run_at, jobs.c.id)
    )
    return [FailedJob(*row) for row in rows]


def count_jobs(connection: Connection, now: datetime) -> dict[str, int]:
    """How many jobs are `waiting` (due or later), `failing` (the same, after an error), `running`
    and `dead`.
    """
    state = case(
        (jobs.c.died_at.is_not(None), "dead"),
        (jobs.c.leased_until > now, "running"),
        (jobs.c.last_error.is_not(None), "failing"),
        else_="waiting",
    )
    rows = connection.execute(select(state, func.count()).group_by(state))
    return {**dict.fromkeys(JOB_STATES, 0), **dict(rows.all())}


def forget_jobs(connection: Connection, kind: str) -> None:
    """Those of `kind` that wait are not done."""
    connection.execute(delete(jobs).where(jobs.c.kind == kind))


def _held(job: Job) -> ColumnElement[bool]:
    """The row, until its holder lets go of it or, after its lease, somebody else claims it."""
    return and_(
        jobs.c.id == job.id,
        jobs.c.attempts == job.attempts,
        jobs.c.leased_until.is_not(None),
    )


@cache
def _due_kinds(kinds: tuple[str, ...]) -> Prepared:
    """Asked every second: to put it together anew took 3 ms, in which nobody else was served."""
    now, too_far = (bindparam(name, type_=Instant) for name in ("now", "too_far"))
    each = [bindparam(kind, type_=Text) for kind in kinds]
    return Prepared(
        union_all(*(select(kind).where(exists().where(_due(kind, now, too_far))) for kind in each))
    )


def _due(
    kind: ColumnElement[str], now: ColumnElement[datetime], too_far: ColumnElement[datetime]
) -> ColumnElement[bool]:
    """A lease that ends `too_far` from now was written by a clock that was wrong."""
    return and_(
        jobs.c.kind == kind,
        jobs.c.died_at.is_(None),
        jobs.c.run_at <= now,
        or_(
            jobs.c.leased_until.is_(None),
            jobs.c.leased_until <= now,
            jobs.c.leased_until > too_far,
        ),
    )
