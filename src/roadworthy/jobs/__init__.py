"""Work after the response: queued in the transaction that causes it, done at least once."""

from roadworthy.jobs.job import Handler, Hopeless, Incomplete, Job
from roadworthy.jobs.purging import MOST_IN_A_WRITE, delete_some, purge
from roadworthy.jobs.queries import (
    JOB_STATES,
    FailedJob,
    count_jobs,
    enqueue,
    find_failed_jobs,
    find_last_run,
    forget_jobs,
    purge_dead_jobs,
    revive_job,
)
from roadworthy.jobs.worker import Worker

__all__ = [
    "JOB_STATES",
    "MOST_IN_A_WRITE",
    "FailedJob",
    "Handler",
    "Hopeless",
    "Incomplete",
    "Job",
    "Worker",
    "count_jobs",
    "delete_some",
    "enqueue",
    "find_failed_jobs",
    "find_last_run",
    "forget_jobs",
    "purge",
    "purge_dead_jobs",
    "revive_job",
]
