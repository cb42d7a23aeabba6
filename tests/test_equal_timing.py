"""A refused sign-in takes as long whether the account exists, and whatever its digest.

"No test at 95 %" finds one difference in twenty that is not there. So a difference counts only when
a second, separate measurement finds one too: by chance alone that happens once in 400 runs, and a
difference that is there is found both times.
"""

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from roadworthy.accounts import note_kinds_of
from tests.conftest import SOAK, Place
from tests.support.client import Client
from tests.support.drivers import PASSWORD, new_driver
from tests.support.service import Service
from tests.support.tables import open_tables
from tests.support.timing import measured, told_apart, told_apart_twice
from tests.test_moved_passwords import devises
from tests.test_storm import AT_FULL_COST

ROUNDS = 500 if SOAK else 60
"""Of each kind, by a service; and as many as there are in the soak where nothing is asked."""
MANY = 500

SIGN_IN = "/api/v1/users/sign_in"
WRONG = "not the password"


def signing_in(client: Client, email: str, password: str, status: int) -> Callable[[], float]:
    """Takes the time of one, which is answered `status`."""
    body = json.dumps({"user": {"email": email, "password": password}})

    def seconds() -> float:
        began = time.perf_counter()
        answer = client.send("POST", SIGN_IN, {"content-type": "application/json"}, body)
        took = time.perf_counter() - began
        assert answer.status == status, answer
        return took

    return seconds


def test_refused_sign_ins_are_not_told_apart(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client]
) -> None:
    tables = open_tables(place.url)
    ours = AT_FULL_COST.hash(PASSWORD)
    known, stranger = (new_driver(tables, password_digest=ours) for _ in range(2))
    client = connect(start(place.folder, place.settings).url)
    signing_in(client, known.email, PASSWORD, 201)()

    moved_in = new_driver(tables, password_digest=devises(PASSWORD, cost=6))
    new_driver(tables, password_digest=devises(PASSWORD, cost=5))
    digests = tables["users"].c.password_digest
    tables.inspect(lambda connection: note_kinds_of(connection, digests, datetime.now(UTC)))
    tables.close()
    kinds = {
        "an account": stranger.email,
        "an account that signed in there": known.email,
        "one that moved in": moved_in.email,
        "nobody": "nobody@example.com",
    }
    tries = {kind: signing_in(client, who, WRONG, 401) for kind, who in kinds.items()}
    chance = random.Random(1)  # noqa: S311 -- chance, not a secret

    assert not told_apart_twice(tries, ROUNDS, chance)


def test_tries_beyond_the_limit_are_not_told_apart(
    place: Place, start: Callable[..., Service], connect: Callable[[str], Client]
) -> None:
    """Though the right password of who is known there is taken all the same."""
    tables = open_tables(place.url)
    known, stranger = (
        new_driver(tables, password_digest=AT_FULL_COST.hash(PASSWORD)) for _ in range(2)
    )
    tables.close()
    settings = {**place.settings, "ROADWORTHY_SIGN_IN_LIMIT": "100000/1m,1/10h"}
    client = connect(start(place.folder, settings).url)

    signing_in(client, known.email, PASSWORD, 201)()
    signing_in(client, "nobody@example.com", WRONG, 401)()
    tries = {who.email: signing_in(client, who.email, WRONG, 429) for who in (known, stranger)}
    chance = random.Random(4)  # noqa: S311 -- chance, not a secret

    assert not told_apart_twice(tries, ROUNDS, chance)
    signing_in(client, known.email, PASSWORD, 201)()


@pytest.mark.parametrize(
    ("slower", "apart"),
    [
        (lambda seconds, _: seconds, False),
        (lambda seconds, _: seconds + 0.001, True),  # a millisecond in thirty
        (lambda seconds, chance: seconds + chance.gauss(0, 0.006), True),  # the same, less steady
    ],
    ids=["alike", "slower", "less steady"],
)
def test_a_difference_is_found(
    slower: Callable[[float, random.Random], float], *, apart: bool
) -> None:
    """On a machine whose pace changes, and which halts now and then."""
    chance = random.Random(2)  # noqa: S311 -- chance, not a secret
    pace = 0.03

    def one() -> float:
        nonlocal pace
        pace = max(0.02, pace + chance.gauss(0, 0.0001))
        return pace + abs(chance.gauss(0, 0.002)) + (0.1 if chance.random() < 0.02 else 0)

    times = measured({"one": one, "other": lambda: slower(one(), chance)}, MANY, chance)

    assert bool(told_apart(times, chance)) is apart
