"""A storm of sign-ins is answered, and so is everybody else meanwhile."""

import asyncio
import os
from collections import Counter

import httpx
from argon2 import PasswordHasher

from tests.conftest import Running
from tests.support.drivers import PASSWORD, PROFILE_PATH, new_driver, with_profile

SIGN_INS = 2000 if os.environ.get("SOAK") else 320
"""More than may wait at once, so that some are told to come back."""

AT_FULL_COST = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def test_a_storm_of_sign_ins_stalls_nobody(service: Running) -> None:
    stormer = new_driver(service.tables, password_digest=AT_FULL_COST.hash(PASSWORD))
    reader = with_profile(service.tables, new_driver(service.tables))
    user = {"user": {"email": stormer.email, "password": PASSWORD}}

    async def storm() -> tuple[list[httpx.Response], int]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=service.url, limits=limits, timeout=120) as client:
            sign_ins = [
                asyncio.create_task(client.post("/api/v1/users/sign_in", json=user))
                for _ in range(SIGN_INS)
            ]
            read = 0
            while not all(task.done() for task in sign_ins):
                shown = await client.get(PROFILE_PATH, headers=reader.signed)
                assert shown.status_code == 200, shown.text
                read += 1
            return await asyncio.gather(*sign_ins), read

    answers, read = asyncio.run(storm())

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 503}, statuses
    assert statuses[201] > 0, "nobody signed in"
    assert read > 0, "no profile was shown"
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json() == {"status": 503, "error": "Service Unavailable"}
            assert int(answer.headers["retry-after"]) > 0
        else:
            assert answer.headers["authorization"].startswith("Bearer ")
