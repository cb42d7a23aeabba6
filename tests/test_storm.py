"""A storm of sign-ins is answered, and so is everybody else meanwhile."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher

from tests.conftest import SOAK, Running
from tests.support.client import Answer, Client
from tests.support.drivers import PASSWORD, new_driver, with_profile

SIGN_INS = 2000 if SOAK else 50
"""In the soak more than may wait at once, so that some are told to come back."""

PATIENCE = 300
"""Of who signs in, in seconds: hashing steps back for everything else that runs here."""

AT_FULL_COST = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def test_a_storm_of_sign_ins_stalls_nobody(
    service: Running, connect: Callable[[str], Client]
) -> None:
    stormer = new_driver(service.tables, password_digest=AT_FULL_COST.hash(PASSWORD))
    reader = with_profile(service.tables, new_driver(service.tables))
    user = json.dumps({"user": {"email": stormer.email, "password": PASSWORD}})

    def sign_in(_: int) -> Answer:
        client = Client(service.url, seconds=PATIENCE)
        answer = client.send(
            "POST", "/api/v1/users/sign_in", {"content-type": "application/json"}, user
        )
        client.close()
        return answer

    client = connect(service.url)
    with ThreadPoolExecutor(SIGN_INS) as threads:
        storm = [threads.submit(sign_in, number) for number in range(SIGN_INS)]
        read = 0
        while not all(each.done() for each in storm):
            assert reader.send(client, "GET").status == 200
            read += 1
    answers = [each.result() for each in storm]

    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {201, 503}, statuses
    assert statuses[201] > 0, "nobody signed in"
    assert read > statuses[201], "a profile was shown more slowly than a password is hashed"
    for answer in answers:
        if answer.status == 503:
            assert answer.json == {"status": 503, "error": "Service Unavailable"}
            assert int(answer.header("retry-after") or 0) > 0
        else:
            assert (answer.header("authorization") or "").startswith("Bearer ")
