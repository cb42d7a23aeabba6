"""Work after the response: done when its cause is, tried again, at last given up visibly."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from roadworthy.accounts import purge_revoked_tokens, purge_sessions
from roadworthy.database import Connection, Database, open_database
from roadworthy.jobs import (
    FailedJob,
    Handler,
    Hopeless,
    Incomplete,
    Job,
    Worker,
    count_jobs,
    enqueue,
    find_failed_jobs,
    purge,
    worker,
)
from roadworthy.jobs.job import ClockWatch
from roadworthy.jobs.purging import MOST_IN_A_WRITE
from roadworthy.jobs.queries import claim_job, renew_lease
from roadworthy.jobs.worker import MOST_OF_A_KIND
from roadworthy.wire import purge_answers
from tests.conftest import Place
from tests.support.drivers import Driver, new_driver
from tests.support.service import Service, run
from tests.support.tables import Row, Tables, open_tables

T = TypeVar("T")

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = timedelta(minutes=5)
HOUR = timedelta(hours=1)

WAITS = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120]
"""Seconds between the twelve attempts."""


@dataclass
class Shop:
    """A database, what is done there, and a clock that stands still until it is set."""

    database: Database
    now: datetime = NOON
    done: list[Any] = field(default_factory=list)

    def worker(self, **handlers: Handler) -> Worker:
        """One that knows good and bad jobs, and those of `handlers`."""
        known = {"good": Handler(self.good), "bad": Handler(self.bad), **handlers}
        return Worker(self.database, known, self._clock)

    async def order(self, kind: str, run_at: datetime = NOON, **payload: Any) -> int:
        return await self.database.write(enqueue, kind, payload, run_at, run_at)

    async def good(self, payload: Mapping[str, Any]) -> None:
        await asyncio.sleep(0)  # others may go on meanwhile
        self.done.append(dict(payload))

    async def bad(self, payload: Mapping[str, Any]) -> None:
        self.done.append(dict(payload))
        raise ValueError("the letter to ann@example.com came back")

    def _clock(self) -> datetime:
        return self.now


def keep_shop(place: Place, play: Callable[[Shop], Awaitable[T]]) -> T:
    """What `play` makes of a shop at `place`."""

    async def day() -> T:
        database = open_database(place.url)
        await database.open()
        try:
            return await play(Shop(database))
        finally:
            await database.close()

    return asyncio.run(day())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if await asyncio.to_thread(holds):
                return
            await asyncio.sleep(0.01)


async def _rows(tables: Tables) -> list[Row]:
    """The jobs; from a thread, as these tables may have an event loop of their own."""
    return await asyncio.to_thread(tables.rows, "jobs")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look a hundred times a second."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)


@pytest.fixture
def at(place: Place) -> Iterator[Tables]:
    tables = open_tables(place.url)
    yield tables
    tables.close()


def test_a_job_is_done_once(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        await shop.order("good", to="Ann", days=[1, 2])
        assert await shop.worker().run_due() == 1
        assert await shop.worker().run_due() == 0
        assert shop.done == [{"to": "Ann", "days": [1, 2]}]

    keep_shop(place, play)
    assert at.rows("jobs") == []


def test_a_job_waits_for_its_time_and_who_waits_longest_is_first(place: Place) -> None:
    async def play(shop: Shop) -> None:
        for name, minutes in (("second", 20), ("first", 10), ("third", 30)):
            await shop.order("good", NOON + timedelta(minutes=minutes), name=name)
        worker = shop.worker()
        for minutes, names in ((9, []), (20, ["first", "second"]), (60, ["third"])):
            shop.now, shop.done = NOON + timedelta(minutes=minutes), []
            assert await worker.run_due() == len(names)
            assert [done["name"] for done in shop.done] == names

    keep_shop(place, play)


class Changed(Exception):
    """The cause of a job was undone."""


def test_a_job_whose_cause_is_undone_is_never_done(place: Place, at: Tables) -> None:
    """Several writes may share a commit: only the one that fails is undone."""

    def ordered_and_undone(connection: Connection) -> None:
        enqueue(connection, "good", {"undone": True}, NOON)
        raise Changed

    async def play(shop: Shop) -> None:
        results = await asyncio.gather(
            shop.order("good", n=1),
            shop.database.write(ordered_and_undone),
            shop.order("good", n=2),
            shop.database.write(ordered_and_undone),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [int, Changed, int, Changed]
        assert await shop.worker().run_due() == 2
        assert sorted(done["n"] for done in shop.done) == [1, 2]

    keep_shop(place, play)
    assert at.rows("jobs") == []


def test_a_failing_job_is_tried_again_later_and_later_and_then_given_up(
    place: Place, at: Tables
) -> None:
    async def play(shop: Shop) -> None:
        await shop.order("bad", to="Ann")
        worker = shop.worker()
        for attempt, seconds in enumerate(WAITS, start=1):
            assert await worker.run_due() == 1
            assert len(shop.done) == attempt
            shop.now += timedelta(seconds=seconds) - SECOND
            assert await worker.run_due() == 0, f"tried again too early after {attempt}"
            shop.now += SECOND
        assert await worker.run_due() == 1
        shop.now += timedelta(days=365)
        assert await worker.run_due() == 0, "a job that was given up is tried again"

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert job["attempts"] == len(WAITS) + 1
    assert job["died_at"] == NOON + timedelta(seconds=sum(WAITS))
    assert job["last_error"] == "ValueError: the letter to ann@example.com came back"


def test_a_job_that_is_hopeless_is_given_up_at_once(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        async def hopeless(_: Mapping[str, Any]) -> None:
            raise Hopeless("nobody has such an address")

        await shop.order("letter")
        worker = Worker(shop.database, {"letter": Handler(hopeless)}, lambda: shop.now)
        assert await worker.run_due() == 1
        shop.now += HOUR
        assert await worker.run_due() == 0

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert (job["attempts"], job["died_at"]) == (1, NOON)
    assert job["last_error"] == "Hopeless: nobody has such an address"


def test_a_failure_is_logged_without_its_words(place: Place) -> None:
    async def play(shop: Shop) -> None:
        await shop.order("bad", to="ann@example.com")
        await shop.worker().run_due()

    with capture_logs() as lines:
        keep_shop(place, play)
    (line,) = lines
    assert (line["event"], line["kind"], line["error"]) == ("job failed", "bad", "ValueError")
    assert "ann@example.com" not in str(line)


def test_a_job_that_nobody_here_knows_waits_for_who_does(place: Place, at: Tables) -> None:
    """As while an older release still runs beside a newer one."""

    async def play(shop: Shop) -> None:
        await shop.order("newer", n=1)
        await shop.order("good", n=2)
        older = shop.worker()
        for _ in range(20):
            await older.run_due()
            shop.now += HOUR
        assert shop.done == [{"n": 2}]
        (waiting,) = await _rows(at)
        assert (waiting["attempts"], waiting["last_error"]) == (0, None)
        assert await shop.worker(newer=Handler(shop.good)).run_due() == 1
        assert shop.done == [{"n": 2}, {"n": 1}]

    keep_shop(place, play)
    assert at.rows("jobs") == []


def test_a_lease_that_ran_out_is_taken_over(place: Place, at: Tables) -> None:
    """The worker that held the job died with it."""

    async def play(shop: Shop) -> None:
        await shop.order("good", n=1)
        held = await shop.database.write(claim_job, "good", NOON)
        assert held is not None
        assert await shop.database.write(claim_job, "good", NOON) is None
        shop.now = NOON + LEASE - SECOND
        assert await shop.worker().run_due() == 0, "taken from who has it"
        shop.now = NOON + LEASE
        taken = await shop.database.write(claim_job, "good", shop.now)
        assert taken is not None
        assert (taken.id, taken.attempts) == (held.id, 2)
        shop.now += LEASE
        assert await shop.worker().run_due() == 1
        assert shop.done == [{"n": 1}]

    keep_shop(place, play)
    assert at.rows("jobs") == []


@pytest.mark.usefixtures("quick")
def test_a_job_of_three_leases_is_done_once(place: Place, at: Tables) -> None:
    """Another worker looks all the while."""

    async def play(shop: Shop) -> None:
        done = asyncio.Event()

        async def long(payload: Mapping[str, Any]) -> None:
            shop.done.append(payload)
            for _ in range(9):
                shop.now += LEASE / 3
                await _until(lambda: leased_until() == shop.now + LEASE)
                await asyncio.sleep(0.03)
            done.set()

        def leased_until() -> datetime:
            moment: datetime = at.rows("jobs")[0]["leased_until"]
            return moment

        await shop.order("long")
        workers = [shop.worker(long=Handler(long)) for _ in range(2)]
        for each in workers:
            each.start()
        await asyncio.wait_for(done.wait(), 30)
        await _until(lambda: at.rows("jobs") == [])
        for each in workers:
            await each.stop()
        assert len(shop.done) == 1

    keep_shop(place, play)


def test_a_lease_is_not_renewed_once_its_holder_let_go(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        await shop.order("bad")
        (job,) = await _rows(at)
        held = Job(job["id"], "bad", "{}", 1, recurring=False, begun_at=NOON)
        await shop.worker().run_due()
        await shop.database.write(renew_lease, held, NOON)

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert (job["attempts"], job["leased_until"]) == (1, None)


def test_a_job_that_takes_too_long_is_ended_and_has_failed(place: Place, at: Tables) -> None:
    ended = []

    async def hang(_: Mapping[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def play(shop: Shop) -> None:
        await shop.order("slow")
        hanging = shop.worker(slow=Handler(hang, limit=timedelta(milliseconds=20)))
        assert await hanging.run_due() == 1

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert ended == [True]
    assert (job["leased_until"], job["run_at"]) == (None, NOON + timedelta(seconds=WAITS[0]))
    assert job["last_error"] == "TookTooLong: more than 0:00:00.020000"


def test_a_timeout_of_something_else_is_not_taken_for_the_limit(place: Place, at: Tables) -> None:
    async def time_out(_: Mapping[str, Any]) -> None:
        raise TimeoutError("no answer from the mail server")

    async def play(shop: Shop) -> None:
        await shop.order("slow")
        await shop.worker(slow=Handler(time_out)).run_due()

    keep_shop(place, play)
    assert at.rows("jobs")[0]["last_error"] == "TimeoutError: no answer from the mail server"


@pytest.mark.usefixtures("quick")
def test_a_kind_that_hangs_holds_up_no_other(place: Place) -> None:
    """Not even one that comes again, and is due later than all that hang."""

    async def play(shop: Shop) -> None:
        hung = []
        swept = asyncio.Event()

        async def hang(payload: Mapping[str, Any]) -> None:
            hung.append(payload)
            await asyncio.Event().wait()

        async def sweep(_: Mapping[str, Any]) -> None:
            swept.set()

        for n in range(MOST_OF_A_KIND + 2):
            await shop.order("slow", NOON - HOUR, n=n)
        working = shop.worker(slow=Handler(hang), sweep=Handler(sweep, every=HOUR))
        working.start()
        await _until(lambda: len(hung) == MOST_OF_A_KIND)
        await asyncio.wait_for(swept.wait(), 20)
        await shop.order("good", name="Ann")
        await _until(lambda: shop.done == [{"name": "Ann"}])
        assert len(hung) == MOST_OF_A_KIND, "there is no end to how many are begun"
        await working.stop()

    keep_shop(place, play)


def test_a_lease_given_by_a_clock_that_was_ahead_ends_when_the_clock_is_right(
    place: Place, at: Tables
) -> None:
    async def play(shop: Shop) -> None:
        await shop.order("good", n=1)
        ahead = NOON + timedelta(days=31)
        assert await shop.database.write(claim_job, "good", ahead) is not None
        assert await shop.worker().run_due() == 1
        assert shop.done == [{"n": 1}]

    keep_shop(place, play)
    assert at.rows("jobs") == []


def test_a_worker_that_stops_leaves_its_job_to_others(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        begun = asyncio.Event()

        async def endless(_: Mapping[str, Any]) -> None:
            begun.set()
            await asyncio.Event().wait()

        await shop.order("good", n=1)
        worker = shop.worker(good=Handler(endless))
        worker.start()
        await begun.wait()
        await worker.stop()
        assert await shop.worker().run_due() == 0
        shop.now = NOON + LEASE
        assert await shop.worker().run_due() == 1
        assert shop.done == [{"n": 1}]

    keep_shop(place, play)
    assert at.rows("jobs") == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_worker_whose_lease_ran_out_no_longer_decides(
    place: Place, at: Tables, *, fails: bool
) -> None:
    async def play(shop: Shop) -> None:
        async def slow(_: Mapping[str, Any]) -> None:
            shop.now += LEASE  # meanwhile another worker takes it
            assert await shop.database.write(claim_job, "slow", shop.now) is not None
            if fails:
                raise ValueError

        await shop.order("slow")
        await shop.worker(slow=Handler(slow)).run_due()

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert (job["attempts"], job["last_error"]) == (2, None)
    assert job["leased_until"] is not None, "it was let go of by who no longer held it"


def test_a_job_that_ends_its_worker_every_time_is_given_up(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        await shop.order("good", n=1)
        for _ in range(12):
            assert await shop.database.write(claim_job, "good", shop.now) is not None
            shop.now += LEASE
        await shop.worker().run_due()
        assert shop.done == []

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert job["died_at"] is not None
    assert job["last_error"].startswith("WorkerEnded")


def test_a_worker_outlives_what_it_did_not_expect(place: Place, at: Tables) -> None:
    """A payload that is no JSON, and a clock that fails once."""

    values = {"kind": "good", "payload": "{", "attempts": 0, "created_at": NOON}
    at.add("jobs", run_at=NOON - SECOND, **values)

    async def play(shop: Shop) -> None:
        done = asyncio.Event()

        async def good(_: Mapping[str, Any]) -> None:
            done.set()

        await shop.order("good", n=1)
        faults = [ZeroDivisionError()]

        def clock() -> datetime:
            if faults:
                raise faults.pop()
            return NOON

        worker = Worker(shop.database, {"good": Handler(good)}, clock)
        worker.start()
        await asyncio.wait_for(done.wait(), 20)
        await worker.stop()

    keep_shop(place, play)
    broken = at.rows("jobs")[0]
    assert "JSONDecodeError" in broken["last_error"]


def test_recurring_work_is_never_given_up(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        bad = Handler(shop.bad, every=HOUR)
        for times in range(1, 16):
            assert await shop.worker(bad=bad).run_due() == 1
            assert len(shop.done) == times, "it is no longer tried"
            shop.now += HOUR

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert job["died_at"] is None


def test_workers_of_several_processes_never_do_the_same_job(place: Place, at: Tables) -> None:
    """Each in a thread with connections of its own, as processes have them."""

    async def order(shop: Shop) -> None:
        for number in range(60):
            await shop.order("good", n=number)

    async def work(shop: Shop) -> list[int]:
        await shop.worker().run_due()
        return [done["n"] for done in shop.done]

    keep_shop(place, order)
    with ThreadPoolExecutor(3) as threads:
        shares = list(threads.map(lambda _: keep_shop(place, work), range(3)))

    assert sorted(number for share in shares for number in share) == [*range(60)], shares
    assert at.rows("jobs") == []


def test_postgresql_gives_the_next_job_while_one_is_being_taken(
    new_place: Callable[[str], Place],
) -> None:
    """SKIP LOCKED: who comes second does not wait for the first to commit."""
    place = new_place("postgresql")

    async def order(shop: Shop) -> list[int]:
        return [await shop.order("good"), await shop.order("good")]

    def claim_two(connection: Connection) -> list[int]:
        first = claim_job(connection, "good", NOON)
        with ThreadPoolExecutor(1) as thread:
            second = thread.submit(_claimed_elsewhere, place.url).result()
        assert first is not None
        return [first.id, second]

    ids = keep_shop(place, order)
    tables = open_tables(place.url)
    assert tables.inspect(claim_two) == ids
    tables.close()


def _claimed_elsewhere(url: str) -> int:
    def claim(connection: Connection) -> Job | None:
        connection.exec_driver_sql(
            "SET LOCAL lock_timeout = '5s'"
        )  # an error, not a test that hangs
        return claim_job(connection, "good", NOON)

    tables = open_tables(url)
    try:
        job = tables.inspect(claim)
    finally:
        tables.close()
    assert job is not None, "there was nothing left to take"
    return job.id


def test_jobs_are_counted_by_state(place: Place) -> None:
    async def play(shop: Shop) -> None:
        await shop.order("bad")
        assert await shop.worker().run_due() == 1
        for kind, minutes in (("good", 0), ("good", 1), ("good", 90), ("bad", 0)):
            await shop.order(kind, NOON + timedelta(minutes=minutes))
        await shop.database.write(claim_job, "good", NOON)
        counted = await shop.database.report(count_jobs, NOON)
        assert counted == {"waiting": 3, "failing": 1, "running": 1, "dead": 0}
        counted = await shop.database.report(count_jobs, NOON + LEASE)
        assert counted == {"waiting": 4, "failing": 1, "running": 0, "dead": 0}

    keep_shop(place, play)


def test_recurring_work_comes_again_and_there_is_one_of_it(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        every_hour = Handler(shop.good, every=HOUR)

        async def done_by_two() -> list[int]:
            return [await shop.worker(good=every_hour).run_due() for _ in range(2)]

        assert await done_by_two() == [1, 0]
        for hours in (1, 2):
            shop.now = NOON + hours * HOUR - SECOND
            assert await done_by_two() == [0, 0]
            shop.now += SECOND
            assert await done_by_two() == [1, 0]
        runs = [{"last_run": (NOON + hours * HOUR).isoformat()} for hours in (0, 1)]
        assert shop.done == [{}, *runs]

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert (job["recurring"], job["run_at"], job["attempts"]) == ("good", NOON + 3 * HOUR, 0)


@pytest.mark.parametrize("put_off", [timedelta(hours=2, microseconds=1), timedelta(days=31)])
def test_recurring_work_put_off_by_a_clock_that_was_ahead_comes_back(
    place: Place, at: Tables, put_off: timedelta
) -> None:
    async def play(shop: Shop) -> None:
        good = Handler(shop.good, every=HOUR)
        assert await shop.worker(good=good).run_due() == 1
        later = update(at["jobs"]).values(run_at=NOON + put_off)
        await asyncio.to_thread(at.execute, later)
        assert await shop.worker(good=good).run_due() == 0

    keep_shop(place, play)
    assert at.rows("jobs")[0]["run_at"] == NOON + HOUR


def test_recurring_work_is_not_moved_by_clocks_that_differ_a_little(
    place: Place, at: Tables
) -> None:
    async def play(shop: Shop) -> None:
        good = Handler(shop.good, every=HOUR)
        assert await shop.worker(good=good).run_due() == 1
        shop.now -= timedelta(minutes=3)
        assert await shop.worker(good=good).run_due() == 0

    keep_shop(place, play)
    assert at.rows("jobs")[0]["run_at"] == NOON + HOUR


_WATCHED: list[tuple[str, list[tuple[int, int]], bool]] = [
    ("steady", [(0, 0), (1, 1), (7200, 7200)], False),
    ("a little off", [(0, 0), (40, 1), (41, 41)], False),
    ("ahead", [(0, 0), (86401, 1)], True),
    ("ahead within the hour", [(0, 0), (86401, 1), (90000, 3600)], True),
    ("ahead for an hour", [(0, 0), (86401, 1), (90001, 3601)], False),
    ("ahead twice", [(0, 0), (86401, 1), (180000, 3000), (183600, 6599)], True),
    ("right again", [(0, 0), (86401, 1), (90001, 3601), (3700, 3700)], True),
    ("behind", [(0, 0), (-3599, 1)], True),
]


@pytest.mark.parametrize(
    ("readings", "in_doubt"), [row[1:] for row in _WATCHED], ids=[row[0] for row in _WATCHED]
)
def test_a_clock_that_leaps_is_in_doubt_for_an_hour(
    readings: list[tuple[int, int]], *, in_doubt: bool
) -> None:
    """Readings of the clock, and the seconds that went by."""
    watch = ClockWatch()
    said = [watch.is_in_doubt(NOON + clock * SECOND, elapsed) for clock, elapsed in readings]
    assert said[-1] == in_doubt


@pytest.mark.usefixtures("quick")
def test_recurring_work_waits_while_the_clock_is_in_doubt(place: Place, at: Tables) -> None:
    """Other work does not."""

    async def play(shop: Shop) -> None:
        swept = []

        async def sweep(payload: Mapping[str, Any]) -> None:
            swept.append(payload)

        working = shop.worker(sweep=Handler(sweep, every=HOUR))
        working.start()
        await _until(lambda: len(swept) == 1)
        for leaps in (1, 2, 3):
            shop.now += timedelta(days=31)
            await shop.order("good", n=leaps)
            await _until(lambda: {job["kind"] for job in at.rows("jobs")} == {"sweep"})
            assert shop.done[-1] == {"n": leaps}
        await working.stop()
        assert len(swept) == 1

    keep_shop(place, play)


def test_recurring_work_that_fails_is_tried_sooner(place: Place, at: Tables) -> None:
    async def play(shop: Shop) -> None:
        bad = Handler(shop.bad, every=HOUR)
        assert await shop.worker(bad=bad).run_due() == 1
        shop.now += timedelta(seconds=WAITS[0])
        assert await shop.worker(bad=bad).run_due() == 1

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert (job["attempts"], job["died_at"]) == (2, None)


def test_recurring_work_that_did_what_it_could_comes_again_at_its_time(
    place: Place, at: Tables
) -> None:
    """That it was done counts, and what it could not do is to be seen until it can."""

    async def play(shop: Shop) -> None:
        async def partly(payload: Mapping[str, Any]) -> None:
            if not payload:
                raise Incomplete("one is left")

        good = Handler(partly, every=HOUR)
        worker = shop.worker(good=good)
        assert (await worker.run_due(), worker.failures) == (1, 1)
        (job,) = at.rows("jobs")
        assert (job["run_at"], job["attempts"], job["died_at"]) == (NOON + HOUR, 1, None)
        assert json.loads(job["payload"]) == {"last_run": NOON.isoformat()}
        assert job["last_error"] == "Incomplete: one is left"

        shop.now += HOUR
        assert await shop.worker(good=good).run_due() == 1

    keep_shop(place, play)
    (job,) = at.rows("jobs")
    assert (job["attempts"], job["last_error"]) == (0, None)


def test_all_server_processes_together_purge_once_an_hour(
    place: Place, at: Tables, start: Callable[..., Service]
) -> None:
    began = datetime.now(UTC)
    for _ in range(2):
        start(place.folder, place.settings, "--workers", "2")
    job = _once_done(at)

    assert (job["kind"], job["recurring"]) == ("purge", "purge")
    assert began + HOUR <= job["run_at"] <= datetime.now(UTC) + HOUR
    assert len(at.rows("jobs")) == 1


def _once_done(tables: Tables) -> Row:
    """The only job, after it has been done and waits to come again."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        jobs = tables.rows("jobs")
        if len(jobs) == 1 and jobs[0]["attempts"] == 0 and jobs[0]["run_at"] > datetime.now(UTC):
            return jobs[0]
        time.sleep(0.05)
    raise AssertionError(f"not done and waiting: {tables.rows('jobs')}")


def command(place: Place, *arguments: str) -> str:
    """What a command that succeeds says."""
    said = run(*arguments, settings=place.settings)
    assert (said.returncode, said.stderr) == (0, ""), said
    return said.stdout


def test_an_operator_sees_what_was_given_up_and_has_it_tried_again(
    place: Place, at: Tables
) -> None:
    at.add(
        "jobs",
        kind="purge",
        payload="{}",
        run_at=NOON,
        attempts=12,
        last_error="OSError: [disk] full",
        died_at=NOON,
        created_at=NOON,
    )
    (job,) = at.rows("jobs")

    _hold_listed(
        place, str(job["id"]), "purge", "dead", "12", "2026-01-01 12:00:00Z", "OSError: [disk]"
    )
    assert command(place, "maintain") == "Did 1 job.\n"  # its own purge, not the dead one
    assert len(at.rows("jobs")) == 2

    said = command(place, "jobs", "retry", str(job["id"]))
    assert said.startswith(f"Job {job['id']} is tried again"), said
    assert command(place, "jobs", "list") == "No job is failing or was given up.\n"
    assert command(place, "maintain") == "Did 1 job.\n"
    assert [job["recurring"] for job in at.rows("jobs")] == ["purge"]


def _hold_listed(place: Place, *shown: str) -> None:
    listed = command(place, "jobs", "list")
    for each in shown:
        assert each in listed, f"{each} is not in\n{listed}"


def test_an_operator_sees_what_is_failing(place: Place, at: Tables) -> None:
    """Recurring work is never given up: it would else fail for ever unseen."""

    async def play(shop: Shop) -> list[FailedJob]:
        await shop.order("good", NOON + HOUR)
        for seconds in (0, WAITS[0]):
            shop.now += timedelta(seconds=seconds)
            await shop.worker(bad=Handler(shop.bad, every=HOUR)).run_due()
        return await shop.database.report(find_failed_jobs)

    (failed,) = keep_shop(place, play)
    again = NOON + timedelta(seconds=WAITS[0] + WAITS[1])
    words = "ValueError: the letter to ann@example.com came back"
    assert failed[1:] == ("bad", 2, words, again, None)
    _hold_listed(place, str(failed.id), "bad", "failing", "2", "2026-01-01 12:00:15Z", "ValueError")

    at.execute(update(at["jobs"]).where(at["jobs"].c.kind == "bad").values(last_error=None))
    assert command(place, "jobs", "list") == "No job is failing or was given up.\n"


@pytest.mark.parametrize("is_waiting", [True, False], ids=["a job that waits", "no job"])
def test_only_what_was_given_up_is_retried(place: Place, at: Tables, *, is_waiting: bool) -> None:
    job_id = 1
    if is_waiting:
        values = {"kind": "purge", "payload": "{}", "attempts": 3, "run_at": NOON}
        job_id = at.add("jobs", created_at=NOON, **values)
    before = at.rows("jobs")
    refused = run("jobs", "retry", str(job_id), settings=place.settings)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"roadworthy: no job {job_id} was given up: see `roadworthy jobs list`\n"
    ), refused
    assert at.rows("jobs") == before


def test_maintain_does_what_is_due_and_says_how_much(place: Place, at: Tables) -> None:
    assert command(place, "maintain") == "Did 1 job.\n"
    assert command(place, "maintain") == "Did 0 jobs.\n"
    at.execute(update(at["jobs"]).values(run_at=NOON))
    at.add("jobs", kind="purge", payload="{}", attempts=0, run_at=NOON, created_at=NOON)
    assert command(place, "maintain") == "Did 2 jobs.\n"


_KEY_AGES = [
    ("new", timedelta(0), True),
    ("of an hour", HOUR, True),
    ("of 23 hours 50 minutes", timedelta(hours=23, minutes=50), True),
    ("of 24 hours", timedelta(hours=24), False),
    ("of a year", timedelta(days=365), False),
]
_TOKEN_LIVES: list[tuple[str, timedelta | None, bool]] = [
    ("for ever", None, True),
    ("for 30 days", timedelta(days=30), True),
    ("for 10 minutes", timedelta(minutes=10), True),
    ("until the last run", timedelta(0), False),
    ("until last year", timedelta(days=-365), False),
]


def test_purge_forgets_what_is_out_of_date_and_nothing_else(place: Place, at: Tables) -> None:
    now = datetime.now(UTC)
    driver = new_driver(at)
    for name, age, _ in _KEY_AGES:
        _keep_answer(at, driver, name, now - age)
    tokens = at["revoked_tokens"]
    for name, life, _ in _TOKEN_LIVES:
        expires_at = None if life is None else now + life
        at.execute(tokens.insert().values(jti=name, expires_at=expires_at))

    assert command(place, "maintain") == "Did 1 job.\n"
    assert len(at.rows("revoked_tokens")) == len(_TOKEN_LIVES), "by one reading of the clock"
    at.execute(tokens.insert().values(jti="until after it", expires_at=datetime.now(UTC)))
    at.execute(update(at["jobs"]).values(run_at=NOON))
    assert command(place, "maintain") == "Did 1 job.\n"

    kept_keys = {row["key"] for row in at.rows("idempotency_keys")}
    kept_tokens = {row["jti"] for row in at.rows("revoked_tokens")}
    assert kept_keys == {name for name, _, is_kept in _KEY_AGES if is_kept}
    lasting = {name for name, _, is_kept in _TOKEN_LIVES if is_kept}
    assert kept_tokens == {*lasting, "until after it"}
    assert len(at.rows("users")) == 1


def test_a_run_by_a_clock_that_was_ahead_lets_the_next_forget_nothing(
    place: Place, at: Tables
) -> None:
    now = datetime.now(UTC)
    assert command(place, "maintain") == "Did 1 job.\n"
    ahead = json.dumps({"last_run": (now + timedelta(days=31)).isoformat()})
    at.execute(update(at["jobs"]).values(run_at=NOON, payload=ahead))
    at.execute(at["revoked_tokens"].insert().values(jti="a", expires_at=now + 30 * 24 * HOUR))
    assert command(place, "maintain") == "Did 1 job.\n"
    assert len(at.rows("revoked_tokens")) == 1


_PURGES = [purge_answers, purge_revoked_tokens, purge_sessions]


@pytest.mark.parametrize("forget", _PURGES, ids=[each.__name__ for each in _PURGES])
def test_purge_forgets_a_few_at_a_time_until_none_is_left(
    place: Place, at: Tables, forget: Callable[[Connection, datetime], int]
) -> None:
    """A write of them all would hold up everybody else's."""
    driver, counts = new_driver(at), []
    old = [f"old {n}" for n in range(2 * MOST_IN_A_WRITE + 3)]
    _fill(at, driver, old, NOON)
    _fill(at, driver, ["new"], NOON + SECOND)
    before = at.count(_PURGED)

    def counted(connection: Connection, until: datetime) -> int:
        counts.append(forget(connection, until))
        return counts[-1]

    keep_shop(place, lambda shop: purge(shop.database, counted, NOON))
    assert counts == [MOST_IN_A_WRITE, MOST_IN_A_WRITE, 3, 0]
    gone = [before[name] - left for name, left in at.count(_PURGED).items()]
    assert sorted(gone) == [0, 0, sum(counts)]


_PURGED = ("idempotency_keys", "revoked_tokens", "sessions")


def _fill(tables: Tables, driver: Driver, names: list[str], moment: datetime) -> None:
    """Rows for each purge."""
    sessions = [
        {"jti": name, "user_id": driver.id, "created_at": NOON, "expires_at": moment}
        for name in names
    ]
    revoked = [{"jti": name, "expires_at": moment} for name in names]
    answers = [_answer(driver, name, moment) for name in names]
    for table, rows in zip(_PURGED, (answers, revoked, sessions), strict=True):
        tables.execute(tables[table].insert().values(rows))


def _keep_answer(tables: Tables, driver: Driver, key: str, given_at: datetime) -> None:
    row = _answer(driver, key, given_at)
    tables.execute(tables["idempotency_keys"].insert().values(**row))


def _answer(driver: Driver, key: str, given_at: datetime) -> Row:
    return {
        "user_id": driver.id,
        "method": "POST",
        "path": "/",
        "key": key,
        "request_digest": "",
        "status": 200,
        "body": b"{}",
        "created_at": given_at,
    }
