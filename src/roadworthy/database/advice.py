"""What to do about what ails a database, and one line a while that says so."""

import time

import structlog

log = structlog.get_logger()

SILENT_SECONDS = 60
"""For so long the same is not said again: each request that meets it would."""
MOST_KEPT = 100

_KNOWN = {
    "put away or replaced": "stop the service before its files are moved, deleted or restored",
    "was emptied": "stop the service, and put a backup in its place",
    "to itself": "end the process that holds that file",
    "readonly": "let this user write to the file and its folder",
    "disk is full": "make room on its disk",
    "No space left": "make room on its disk",
    "disk I/O error": "make room on its disk, or see what ails it",
    "malformed": "put a backup in its place",
    "not a database": "put a backup in its place",
    "database is locked": "end the program that holds it",
    "unable to open": "let this user write to the file and its folder",
    "permission denied": "set ROADWORTHY_MIGRATION_DATABASE_URL to the owner of the tables, "
    "and run `roadworthy migrate`",
    "already exists": "it is another program's: give this one a database of its own",
    "parameter must be": "mend ROADWORTHY_DATABASE_URL",
    "no such": "put the database back that was there",
    "has no column": "put the database back that was there",
    "does not exist": "put back what was there, or mend ROADWORTHY_DATABASE_URL",
    "read-only transaction": "let ROADWORTHY_DATABASE_URL name the primary, and let it take writes",
    "not currently accepting": "allow connections to it again",
    "lock timeout": "end the program that holds the lock",
    "connection slots": "raise max_connections, or run fewer server processes",
    "too many": "raise max_connections, or run fewer server processes",
    "starting up": "wait: nothing else is needed",
    "switch to state": "see PostgreSQL's log, if it goes on: nothing else is needed",
}
_IF_UNKNOWN = "is it running, and is ROADWORTHY_DATABASE_URL right?"


def advice(reason: str) -> str:
    """What to do about it."""
    return next((known for sign, known in _KNOWN.items() if sign in reason), _IF_UNKNOWN)


class Complaints:
    """What was said of a database lately."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def say(self, reason: str) -> None:
        """One line with what to do, unless it was said lately."""
        now = time.monotonic()
        if now - self._said.get(reason, -SILENT_SECONDS) < SILENT_SECONDS:
            return
        if len(self._said) >= MOST_KEPT:
            self._said.clear()
        self._said[reason] = now
        log.error("database", reason=reason, advice=advice(reason))
