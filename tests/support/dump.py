"""Dumps of a service that somebody moves in from, with bad rows of every kind sown in."""

import csv
import io
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import bcrypt

PASSWORD = "the password of years ago"

USER_COLUMNS = ("id", "email", "encrypted_password", "phone_number", "created_at", "confirmed_at")
PROFILE_COLUMNS = (
    "id",
    "user_id",
    "first_name",
    "last_name",
    "postcode",
    "birth_date",
    "start_date",
    "contact_phone_number",
    "bio",
    "english_level",
    "created_at",
    "updated_at",
)
TOKEN_COLUMNS = ("jti", "exp")

FIRST_USER = 1859
FIRST_PROFILE = 20_001
SPARE_ID = 9_000_001
"""From here on, ids of bad rows: nobody else's."""

DIGESTS = tuple(
    bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, prefix)).decode()
    for prefix in (b"2a", b"2b")
)
DIGEST = DIGESTS[0]

NOT_AN_ID = "is not a number from 1 to 4611686018427387904"
TOO_LONG = "is too long (maximum is 255 characters)"
NOT_A_TIME = "is not a valid time"
NOT_BCRYPT = "is not a bcrypt digest"

Fields = dict[str, str]


@dataclass(frozen=True)
class Bad:
    """A row that is in order but for `changes`, and why it is refused."""

    reason: str
    changes: Mapping[str, str] = field(default_factory=dict)
    repeats: str | None = None
    """The column that an earlier row has too."""
    raw: str | None = None
    """What stands there instead of the row."""


@dataclass(frozen=True)
class Here:
    """What the service that is moved to has already."""

    user_id: int
    email: str


@dataclass(frozen=True)
class Dumped:
    """A file, and what is wrong with it."""

    path: Path
    good: int
    """Rows that are in order."""
    refused: dict[int, str]
    """Lines that begin a bad row, and the reasons."""

    @property
    def listed(self) -> str:
        """What the command prints of them."""
        lines = sorted(self.refused.items())
        return "".join(f"line {line}: {reason}\n" for line, reason in lines)


def bad_users(here: Here) -> list[Bad]:
    return [
        *(Bad(f"id {NOT_AN_ID}", {"id": text}) for text in _NOT_IDS),
        Bad("id can't be blank", {"id": ""}),
        Bad("id is on line {first} already", repeats="id"),
        Bad("email is on line {first} already", repeats="email"),
        Bad("email can't be blank", {"email": ""}),
        Bad("email can't be blank", {"email": " \t"}),
        Bad("email is invalid", {"email": "nobody"}),
        Bad("email is invalid", {"email": "some one@example.com"}),
        Bad("email is invalid", {"email": "some@one@example.com"}),
        Bad("email is invalid", {"email": "some\0one@example.com"}),
        Bad("email is invalid", {"email": "some\udcffone@example.com"}),
        Bad(f"email {TOO_LONG}", {"email": "x" * 250 + "@example.com"}),
        *(Bad(f"encrypted_password {NOT_BCRYPT}", {"encrypted_password": d}) for d in _NOT_BCRYPT),
        Bad(
            "encrypted_password has a bcrypt cost over 15",
            {"encrypted_password": DIGEST.replace("$04$", "$31$")},
        ),
        Bad(f"phone_number {TOO_LONG}", {"phone_number": "0" * 256}),
        Bad("phone_number is invalid", {"phone_number": "07856\0"}),
        Bad("created_at can't be blank", {"created_at": ""}),
        *(Bad(f"created_at {NOT_A_TIME}", {"created_at": text}) for text in _NOT_TIMES),
        Bad(f"confirmed_at {NOT_A_TIME}", {"confirmed_at": "yes"}),
        Bad(
            f"email is invalid; encrypted_password {NOT_BCRYPT}; created_at {NOT_A_TIME}",
            {"email": "nobody", "encrypted_password": "secret", "created_at": "never"},
        ),
        Bad("has 3 fields, and the first line 6 fields", raw="1,a@example.com,x\n"),
        Bad("has 7 fields, and the first line 6 fields", raw="1,a@example.com,x,,,,\n"),
        Bad("cannot be read as CSV: ',' expected after '\"'", raw='1,"a"@example.com,x,,,\n'),
        Bad(
            "id is here already, and differs in email, phone_number, created_at",
            {"id": str(here.user_id), "phone_number": "0", "confirmed_at": ""},
        ),
        Bad(
            f"email has already been taken, by account {here.user_id}",
            {"email": here.email.upper()},
        ),
    ]


def bad_profiles() -> list[Bad]:
    texts = ("first_name", "last_name", "postcode", "contact_phone_number")
    days = ("birth_date", "start_date")
    return [
        *(Bad(f"{column} {NOT_AN_ID}", {column: "x"}) for column in ("id", "user_id")),
        *(Bad(f"{name} can't be blank", {name: ""}) for name in ("id", "user_id", *texts, *days)),
        *(Bad(f"{name} can't be blank", {name: "  "}) for name in texts),
        *(Bad(f"{name} {TOO_LONG}", {name: "x" * 256}) for name in texts),
        *(Bad(f"{name} is invalid", {name: "a\0b"}) for name in (*texts, "bio")),
        *(Bad(f"{name} is not a valid date", {name: text}) for name in days for text in _NOT_DAYS),
        Bad("bio is too long (maximum is 20000 characters)", {"bio": "x" * 20_001}),
        Bad("english_level is not included in the list", {"english_level": "superb"}),
        Bad(f"created_at {NOT_A_TIME}", {"created_at": "x"}),
        Bad(f"updated_at {NOT_A_TIME}", {"updated_at": "x"}),
        Bad("id is on line {first} already", repeats="id"),
        Bad("user_id is on line {first} already", repeats="user_id"),
        Bad("user_id is no account here", {"user_id": str(SPARE_ID * 2)}),
        Bad("has 1 field, and the first line 12 fields", raw="1\n"),
    ]


def bad_tokens() -> list[Bad]:
    return [
        Bad("jti can't be blank", {"jti": ""}),
        Bad("jti can't be blank", {"jti": " "}),
        Bad(f"jti {TOO_LONG}", {"jti": "x" * 256}),
        Bad("jti is invalid", {"jti": "a\0b"}),
        Bad("jti is on line {first} already", repeats="jti"),
        *(Bad(f"exp {NOT_A_TIME}", {"exp": text}) for text in ("soon", "-1", "1" * 12, "1" * 13)),
    ]


_NOT_IDS = ("0", "-3", "+3", "12x", "1.5", " 7", "٣", str(2**62 + 1), str(2**63), "9" * 40)
_NOT_BCRYPT = (
    "secret",
    DIGEST[:-1],
    DIGEST + "a",
    DIGEST.replace("$2a$", "$2x$"),
    DIGEST.replace("$04$", "$03$"),
    DIGEST.replace("$04$", "$32$"),
    DIGEST.replace("$04$", "$4$"),
    DIGEST[:28] + "P" + DIGEST[29:],
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
)
_NOT_TIMES = (
    "yesterday",
    "2020-02-30 10:02:34",
    "2020-03-20 25:02:34",
    "2020-03-20",
    "20/03/2020 10:02",
    "1899-12-31 10:02:34",
    "2020-03-20 10:02:34 CEST",
    "infinity",
    "1584698554",
)
_NOT_DAYS = ("03/20/2000", "2000-02-30", "born", "1899-12-31")


def dump_users(
    path: Path, count: int, bad: Sequence[Bad] = (), *, line_end: str = "\n", seed: int = 1
) -> Dumped:
    """`count` users who are in order, from `FIRST_USER` on, and the bad ones among them."""

    def good(number: int, row_id: int) -> Fields:
        began = datetime(2015, 1, 1) + timedelta(minutes=number)  # noqa: DTZ001 -- Rails' UTC
        return {
            "id": str(row_id),
            "email": address(row_id),
            "encrypted_password": DIGESTS[number % len(DIGESTS)] if number % 50 else "",
            "phone_number": "07856 207372" if number % 3 else "",
            "created_at": f"{began}.{number % 1_000_000:06}",
            "confirmed_at": f"{began + timedelta(hours=1)}" if number % 4 else "",
        }

    return _dump(path, USER_COLUMNS, _Rows(count, FIRST_USER, good, bad, line_end, seed))


def dump_profiles(
    path: Path, count: int, bad: Sequence[Bad] = (), *, line_end: str = "\n", seed: int = 2
) -> Dumped:
    """The profiles of the first `count` users, some over several lines, and bad ones of others."""

    def good(number: int, row_id: int) -> Fields:
        return {
            "id": str(row_id),
            "user_id": str(FIRST_USER + number),
            "first_name": "Virgie" if number % 5 else 'Zoë "Zo", Ł.',
            "last_name": f"Luettgen {number}",
            "postcode": "123",
            "birth_date": "2000-03-20",
            "start_date": "2020-03-20",
            "contact_phone_number": "07856 207372",
            "bio": "" if number % 7 else "Coaches,\nminibuses\r\n\nand “schools”.",
            "english_level": ("", "basic", "fluent")[number % 3],
            "created_at": "2020-03-20 10:02:34.340123",
            "updated_at": "2021-03-20T10:02:34Z",
        }

    return _dump(path, PROFILE_COLUMNS, _Rows(count, FIRST_PROFILE, good, bad, line_end, seed))


def dump_tokens(path: Path, jtis: Sequence[str], ends: datetime, bad: Sequence[Bad] = ()) -> Dumped:
    """The denylist with `jtis`, which end at `ends` (UTC), written in each way in turn."""
    ways = (f"{ends:%Y-%m-%d %H:%M:%S}", f"{ends:%Y-%m-%dT%H:%M:%SZ}", str(int(ends.timestamp())))

    def good(number: int, _: int) -> Fields:
        jti = jtis[number] if number < len(jtis) else str(uuid.uuid4())
        return {"jti": jti, "exp": ways[number % len(ways)]}

    return _dump(path, TOKEN_COLUMNS, _Rows(len(jtis), 0, good, bad, "\n", 3))


def address(user_id: int) -> str:
    """The address of a user who is dumped; one in ten was kept in capitals."""
    email = f"driver{user_id}@example.com"
    return email if user_id % 10 else email.upper()


@dataclass(frozen=True)
class _Rows:
    count: int
    first_id: int
    good: Callable[[int, int], Fields]
    bad: Sequence[Bad]
    line_end: str
    seed: int

    def __iter__(self) -> Iterator[tuple[Fields, Bad | None]]:
        """Good rows in their order, bad ones strewn among them but never first."""
        chance = random.Random(self.seed)  # noqa: S311 -- no secret
        places: dict[int, list[int]] = {}
        for which in range(len(self.bad)):
            places.setdefault(chance.randrange(1, self.count), []).append(which)
        for number in range(self.count):
            for which in places.get(number, ()):
                spare = self.good(self.count + which, SPARE_ID + which)
                yield {**spare, **self.bad[which].changes}, self.bad[which]
            yield self.good(number, self.first_id + number), None


def _dump(path: Path, columns: tuple[str, ...], rows: _Rows) -> Dumped:
    refused: dict[int, str] = {}
    first: tuple[int, Fields] | None = None
    line = 1
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        line += file.write(_as_csv(columns, rows.line_end)) and 1
        for fields, bad in rows:
            if bad is None and first is None:
                first = (line, fields)
            if bad and bad.repeats and first:
                same = first[1][bad.repeats]
                fields[bad.repeats] = same.upper() if bad.repeats == "email" else same
            text = bad.raw if bad and bad.raw else _as_csv(fields.values(), rows.line_end)
            if bad:
                refused[line] = bad.reason.format(first=first and first[0])
            file.write(text)
            line += text.count("\n")
    return Dumped(path, rows.count, refused)


def _as_csv(values: object, line_end: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=line_end).writerow(values)  # type: ignore[arg-type]
    return out.getvalue()
