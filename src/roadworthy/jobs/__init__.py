"""Work after the response: queued in the transaction that causes it, done at least once."""

from roadworthy.jobs.job import Hopeless, Job, Recurring
from roadworthy.jobs.queries import (
    JOB_STATES,
    DeadJob,
    count_jobs,
    enqueue,
    find_dead_jobs,
    revive_job,
)
from roadworthy.jobs.worker import Handler, Worker

__all__ = [
    "JOB_STATES",
    "DeadJob",
    "Handler",
    "Hopeless",
    "Job",
    "Recurring",
    "Worker",
    "count_jobs",
    "enqueue",
    "find_dead_jobs",
    "revive_job",
]
