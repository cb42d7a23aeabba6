"""The floor: the smallest honest program that answers POST and GET of a profile as we do.

The same schema, transactions, durability, bytes and headers as the service, from a bare RSGI
function, msgspec and the raw database drivers; one process, no cache, no layers. A GET asks the two
questions that the service asks the first time: whose token is this, and what is in their profile.
What the service costs is told as a ratio to this.

`python -m bench.floor DATABASE_URL PORT` serves a database that `roadworthy migrate` made, with
the secret in ROADWORTHY_SECRET_KEY.
"""

import asyncio
import hashlib
import os
import queue
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any, Protocol

import asyncpg
import jwt
import msgspec
from granian import Granian
from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.constants import HTTPModes, Interfaces, Loops
from granian.rsgi import Scope

PATH = "/api/v1/users/profile"
DATABASE = "FLOOR_DATABASE_URL"
LONGEST_TEXT = 255
YEARS = range(1900, 2201)
MOST_IN_A_COMMIT = 128
CONNECTIONS = 8

HEADERS = [
    ("x-frame-options", "SAMEORIGIN"),
    ("x-xss-protection", "0"),
    ("x-content-type-options", "nosniff"),
    ("x-permitted-cross-domain-policies", "none"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
]
JSON = ("content-type", "application/json; charset=utf-8")
VARY = ("vary", "Accept, Origin")
REVALIDATE = ("cache-control", "max-age=0, private, must-revalidate")

Row = Sequence[Any] | asyncpg.Record


def main() -> None:
    """Serve until SIGTERM."""
    os.environ[DATABASE], port = sys.argv[1:]
    Granian(
        "bench.floor:Floor",
        factory=True,
        port=int(port),
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=4096,
        log_enabled=False,
    ).serve()


class Refused(Exception):
    """Ends a request with this status and no more ado."""


class Given(msgspec.Struct):
    """The six fields as they are sent."""

    first_name: str
    last_name: str
    postcode: str
    birth_date: str
    start_date: str
    contact_phone_number: str


class GivenBody(msgspec.Struct):
    """`{"profile": …}` as it is sent."""

    profile: Given


class File(msgspec.Struct, frozen=True):
    """A file on the wire; an empty place unless told otherwise."""

    id: int | None = None
    signed_id: str | None = None
    byte_size: int | None = None
    filename: str = ""
    url: str | None = None


NO_FILE = File()


class Profile(msgspec.Struct, kw_only=True):
    """The documented profile, its keys in the documented order."""

    id: int
    activities: list[Any] = []
    bio: str | None = None
    birth_date: date | str
    child_safeguard_training: File = NO_FILE
    compliance_documents: tuple[str, ...] = (
        "dbs",
        "tacho",
        "enchanced_dbs",
        "cpc",
        "medical_check",
        "child_safeguard_training",
    )
    contact_phone_number: str
    cpc: File = NO_FILE
    cv: File = NO_FILE
    dbs: File = NO_FILE
    documents: list[File] = []
    driving_license: list[File] = []
    email: str
    enchanced_dbs: File = NO_FILE
    english_level: str | None = None
    experiences: list[Any] = []
    first_name: str
    interviews: list[Any] = []
    last_name: str
    licenses: list[Any] = []
    medical_check: File = NO_FILE
    phone_number: str | None
    postcode: str
    reviews: list[Any] = []
    start_date: date | str
    tacho: File = NO_FILE


class ProfileBody(msgspec.Struct):
    """`{"profile": …}` as it is shown."""

    profile: Profile


decode_given = msgspec.json.Decoder(GivenBody).decode
encode = msgspec.json.Encoder().encode


class Floor:
    """The RSGI application."""

    def __init__(self) -> None:
        url = os.environ[DATABASE]
        self._database: Database = (
            SQLite(url.removeprefix("sqlite:///"))
            if url.startswith("sqlite:///")
            else PostgreSQL(url)
        )
        self._secret = os.environ["ROADWORTHY_SECRET_KEY"].encode()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self._database.open())

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        started = time.perf_counter()
        try:
            body = await self._answer(scope, protocol)
        except Refused as refused:
            protocol.response_empty(refused.args[0], HEADERS)
        else:
            respond(scope, protocol, body, started)

    async def _answer(self, scope: Scope, protocol: HTTPProtocol) -> bytes:
        if scope.path != PATH:
            raise Refused(404)
        if scope.method == "POST":
            return await self._create(scope, protocol)
        if scope.method == "GET":
            return await self._show(scope)
        raise Refused(405)

    async def _create(self, scope: Scope, protocol: HTTPProtocol) -> bytes:
        user_id, email, phone_number, profile_id = await self._driver(scope)
        given = judged(await protocol())
        if profile_id is not None:
            raise Refused(422)
        profile_id = await self._database.create(user_id, given, datetime.now(UTC))
        return rendered(given | {"id": profile_id, "email": email, "phone_number": phone_number})

    async def _show(self, scope: Scope) -> bytes:
        *_, profile_id = await self._driver(scope)
        row = await self._database.find_profile(profile_id) if profile_id is not None else None
        if row is None:
            raise Refused(404)
        return rendered(shown(row))

    async def _driver(self, scope: Scope) -> Row:
        """Who asks: id, email, phone number, and the profile's id if there is one."""
        scheme, _, token = scope.headers.get("authorization", "").partition(" ")
        try:
            claims = jwt.decode(token, self._secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            raise Refused(401) from None
        user_id, audience = int(claims["sub"]), scope.headers.get("jwt-aud")
        if scheme != "Bearer" or claims["scp"] != "user" or claims["aud"] != audience:
            raise Refused(401)
        driver = await self._database.find_driver(user_id, claims["jti"])
        if driver is None or driver[-1]:
            raise Refused(401)
        return user_id, *driver[:-1]


def judged(body: bytes) -> dict[str, Any]:
    """The six fields, validated."""
    try:
        given = decode_given(body).profile
        return {
            "first_name": text(given.first_name),
            "last_name": text(given.last_name),
            "postcode": text(given.postcode),
            "birth_date": day(given.birth_date),
            "start_date": day(given.start_date),
            "contact_phone_number": text(given.contact_phone_number),
        }
    except ValueError:
        raise Refused(422) from None


def text(value: str) -> str:
    if not value.strip() or len(value) > LONGEST_TEXT or "\0" in value:
        raise ValueError(value)
    return value


def day(value: str) -> date:
    taken = datetime.fromisoformat(value).date()
    if taken.year not in YEARS:
        raise ValueError(value)
    return taken


def shown(row: Row) -> dict[str, Any]:
    """The profile's fields from a row of `find_profile`."""
    fields = dict(zip((*COLUMNS, *COLLECTIONS, "files"), row, strict=True))
    for name in COLLECTIONS:
        fields[name] = sorted(entries(fields[name]), key=itemgetter("id"))
    for file in sorted(entries(fields.pop("files")), key=itemgetter("position", "id")):
        slot, shape = file["slot"], File(file["id"], None, file["byte_size"], file["filename"])
        if slot in {"documents", "driving_license"}:
            fields.setdefault(slot, []).append(shape)
        else:
            fields[slot] = shape
    return fields


def entries(text: str | None) -> list[Any]:
    """What the database says of none is `[]` or nothing."""
    return msgspec.json.decode(text) if text else []


def rendered(fields: dict[str, Any]) -> bytes:
    return encode(ProfileBody(Profile(**fields)))


def respond(scope: Scope, protocol: HTTPProtocol, body: bytes, started: float) -> None:
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    request_id = scope.headers.get("x-request-id") or str(uuid.uuid4())
    known = scope.method == "GET" and scope.headers.get("if-none-match") == etag
    headers = [
        *HEADERS,
        *(() if known else (JSON,)),
        VARY,
        ("etag", etag),
        REVALIDATE,
        ("x-request-id", request_id),
        ("x-runtime", f"{time.perf_counter() - started:.6f}"),
    ]
    if known:
        protocol.response_empty(304, headers)
    else:
        headers.append(("content-length", str(len(body))))
        protocol.response_bytes(200, headers, body)


class Database(Protocol):
    """What the floor asks of either database."""

    async def open(self) -> None:
        """Call once, on the event loop."""

    async def find_driver(self, user_id: int, jti: str) -> Row | None:
        """E-mail, phone number, profile's id, whether the token is revoked."""

    async def find_profile(self, profile_id: int) -> Row | None:
        """`COLUMNS`, `COLLECTIONS` and the files."""

    async def create(self, user_id: int, given: dict[str, Any], now: datetime) -> int:
        """The new profile's id, once it is on disk."""


COLUMNS = (
    "id",
    "bio",
    "birth_date",
    "contact_phone_number",
    "email",
    "english_level",
    "first_name",
    "last_name",
    "phone_number",
    "postcode",
    "start_date",
)
COLLECTIONS = {
    "activities": "id description ended_on kind started_on",
    "experiences": "id company description ended_on job_title started_on vehicle_types",
    "interviews": "id interviewer location outcome scheduled_at status",
    "licenses": "id category expires_on issued_on number penalty_points",
    "reviews": "id body created_at rating reviewer",
}
FILES = "id slot position byte_size filename"

FIND_DRIVER = """
SELECT email, phone_number, profiles.id, EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $2)
FROM users LEFT JOIN profiles ON user_id = users.id WHERE users.id = $1"""

CREATE = """
INSERT INTO profiles (user_id, first_name, last_name, postcode, birth_date, start_date,
contact_phone_number, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 1)"""


def find_profile_sql(gather: str, value: Callable[[str], str]) -> str:
    """One statement for a whole profile, each collection gathered as the text of a JSON list."""

    def gathered(table: str, keys: str, source: str) -> str:
        pairs = ", ".join(
            f"'{key}', {f'{table}.id' if key == 'id' else value(key)}" for key in keys.split()
        )
        return f"(SELECT {gather % pairs} FROM {source} WHERE profile_id = profiles.id)"  # noqa: S608

    columns = ["profiles.id", *COLUMNS[1:]]
    columns += [gathered(name, keys, name) for name, keys in COLLECTIONS.items()]
    columns += [gathered("attachments", FILES, "attachments JOIN blobs ON blobs.id = blob_id")]
    return (
        f"SELECT {', '.join(columns)} FROM profiles JOIN users ON users.id = user_id "  # noqa: S608
        "WHERE profiles.id = $1"
    )


class SQLite:
    """Reads on the event loop; writes on one thread, each in a savepoint, committed together."""

    _find_driver = FIND_DRIVER.replace("$", "?")
    _create = CREATE.replace("$", "?")
    _find_profile = find_profile_sql(
        "json_group_array(json_object(%s))",
        lambda key: {
            "vehicle_types": "json(vehicle_types)",
            "scheduled_at": "substr(scheduled_at, 1, 23) || 'Z'",
            "created_at": "substr(created_at, 1, 23) || 'Z'",
        }.get(key, key),
    ).replace("$", "?")

    def __init__(self, path: str):
        self._path = path
        self._waiting: queue.SimpleQueue[Write] = queue.SimpleQueue()

    async def open(self) -> None:
        self._reader = self._connect()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write, name="writer", daemon=True).start()

    async def find_driver(self, user_id: int, jti: str) -> Row | None:
        return self._one(self._find_driver, (user_id, jti))

    async def find_profile(self, profile_id: int) -> Row | None:
        return self._one(self._find_profile, (profile_id,))

    async def create(self, user_id: int, given: dict[str, Any], now: datetime) -> int:
        values = [v.isoformat() if isinstance(v, date) else v for v in given.values()]
        answer = self._loop.create_future()
        self._waiting.put(Write((user_id, *values, now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")), answer))
        return int(await answer)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16000",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _one(self, statement: str, values: Row) -> Row | None:
        row: Row | None = self._reader.execute(statement, values).fetchone()
        return row

    def _write(self) -> None:
        connection = self._connect()
        while True:
            batch = [self._waiting.get()]
            while len(batch) < MOST_IN_A_COMMIT and not self._waiting.empty():
                batch.append(self._waiting.get())
            connection.execute("BEGIN IMMEDIATE")
            for write in batch:
                self._insert(connection, write)
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(answer_all, batch)

    def _insert(self, connection: sqlite3.Connection, write: "Write") -> None:
        connection.execute("SAVEPOINT one")
        try:
            write.result = connection.execute(self._create, write.values).lastrowid
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")


@dataclass(slots=True)
class Write:
    """A row to insert and who waits for its id."""

    values: Row
    answer: asyncio.Future[int]
    result: int | None = None


def answer_all(batch: list[Write]) -> None:
    """Answer the writes of a commit that is on disk."""
    for write in batch:
        if write.result is None:
            write.answer.set_exception(Refused(422))
        elif not write.answer.done():
            write.answer.set_result(write.result)


class PostgreSQL:
    """A pool of connections that are not reset between uses: each statement is a transaction."""

    _find_profile = find_profile_sql(
        "CAST(json_agg(json_build_object(%s)) AS text)",
        lambda key: (
            f"to_char({key} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
            if key in {"scheduled_at", "created_at"}
            else key
        ),
    )

    def __init__(self, url: str):
        self._url = url

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._url, min_size=CONNECTIONS, max_size=CONNECTIONS, reset=leave
        )

    async def find_driver(self, user_id: int, jti: str) -> Row | None:
        return await self._pool.fetchrow(FIND_DRIVER, user_id, jti)

    async def find_profile(self, profile_id: int) -> Row | None:
        return await self._pool.fetchrow(self._find_profile, profile_id)

    async def create(self, user_id: int, given: dict[str, Any], now: datetime) -> int:
        try:
            return int(
                await self._pool.fetchval(CREATE + " RETURNING id", user_id, *given.values(), now)
            )
        except asyncpg.UniqueViolationError:
            raise Refused(422) from None


async def leave(_: object) -> None:
    """Nothing is left on a connection to reset."""


if __name__ == "__main__":
    main()
