"""A process that hashes passwords and does nothing else: `passwords.py` starts it as a script.

It steps back for whoever answers requests. A thread could not: with a low priority it may be left
waiting for a processor while it holds the interpreter (measured: reads took eight times as long).

A request is a line of JSON, `[password]` or `[password, digest]`; its answer is one too: the
digest, or whether it is of that password. It ends when its input does.
"""

import json
import os
import sys

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

NICENESS = 10
"""A tenth of a processor that all fight for: with less, nobody could sign in while they do."""

# OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, 2 iterations, 1 lane.
_HASHER = PasswordHash([Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)])


def answer(password: str, digest: str | None = None) -> str | bool:
    """The digest of `password`, or whether `digest` is of it."""
    if digest is None:
        return _HASHER.hash(password)
    try:
        return _HASHER.verify(password, digest)
    except UnknownHashError:  # moved in from elsewhere, or closed: opens for nobody
        _HASHER.hash(password)  # and takes as long
        return False


def _serve() -> None:
    os.nice(NICENESS)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(*json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
