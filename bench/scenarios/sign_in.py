"""What a sign-in takes beyond verifying the password."""

import json
import time
from collections.abc import Callable, Iterator
from statistics import median

from argon2 import PasswordHasher

from bench.databases import databases
from bench.scenarios import signing_in
from bench.scenarios.finding import Finding
from bench.servers import Client, service

JSON = {"content-type": "application/json"}
CREATED = 201
WARM_UP = 10


def measure_sign_in(kind: str, quick: bool) -> Iterator[Finding]:  # noqa: FBT001
    """Milliseconds from request to answer, in turn with argon2id alone, nobody else asking."""
    rounds = 50 if quick else 300
    password = json.loads(signing_in.USER)["user"]["password"]
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    digest = hasher.hash(password)
    with (
        databases(kind) as made,
        service(made.make("sign-in")) as server,
        Client(server) as client,
    ):
        _post(client, "/api/v1/users")
        pairs = [
            (
                _milliseconds(lambda: _post(client, "/api/v1/users/sign_in")),
                _milliseconds(lambda: hasher.verify(digest, password)),
            )
            for _ in range(WARM_UP + rounds)
        ][WARM_UP:]
    whole, hashing = (median(times) for times in zip(*pairs, strict=True))
    yield Finding(
        kind,
        "sign-in, beyond argon2id",
        whole - hashing,
        " ms",
        2,
        detail=f"medians of {rounds}: {whole:.1f} ms, of which argon2id {hashing:.1f} ms",
    )


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _post(client: Client, path: str) -> None:
    answer = client.ask("POST", JSON, signing_in.USER, path)
    if answer.status != CREATED:
        raise RuntimeError(f"{path} was answered {answer.status}")
