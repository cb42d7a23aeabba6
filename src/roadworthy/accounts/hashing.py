"""A process that hashes passwords and does nothing else: `passwords.py` starts it as a script.

It steps back for whoever answers requests. A thread could not: with a low priority it may be left
waiting for a processor while it holds the interpreter (measured: reads took eight times as long).

Its first line of input is the pepper of Devise's digests, as JSON: what a process is started with
can be read by others. Each line after it is a request, `[password]` or `[password, digests, own,
renew]`, and its answer is one line: the digest, or what `verify` says. It ends when its input does,
also in the middle of a line, and when nobody takes its answer: who asked was killed.
"""

import json
import signal
import sys
from collections.abc import Iterator
from typing import Any

import bcrypt
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from roadworthy.priority import step_back

NICENESS = 10
"""A tenth of a processor that all fight for: with less, nobody could sign in while they do."""

BCRYPT_BYTES = 72
"""Where Ruby's bcrypt, and so Devise, cuts what it hashes; Python's refuses more."""

# OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, 2 iterations, 1 lane.
_HASHER = PasswordHash([Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)])


class Hashing:
    """Makes argon2id digests; verifies those and Devise's, which knew `pepper`."""

    def __init__(self, pepper: str):
        self._pepper = pepper

    def digest(self, password: str) -> str:
        """A new digest of `password`."""
        return _HASHER.hash(password)

    def verify(
        self,
        password: str,
        digests: list[str],
        own: int,
        renew: bool,  # noqa: FBT001 -- as it comes, in a line
    ) -> tuple[bool, str | None]:
        """Whether `password` is of the digest number `own`; with `renew`, a new one if it is.

        If it is not, all are verified, for the time that takes.
        """
        for number, digest in enumerate(digests):
            if self._is_of(password, digest) and number == own:
                return True, self.digest(password) if renew else None
        return False, None

    def _is_of(self, password: str, digest: str) -> bool:
        if digest.startswith("$2"):
            return self._is_devises(password, digest)
        return _HASHER.verify(password, digest)

    def _is_devises(self, password: str, digest: str) -> bool:
        secret = (password + self._pepper).encode()[:BCRYPT_BYTES]
        try:
            return bcrypt.checkpw(secret, digest.encode()) and "\0" not in password
        except ValueError:  # its salt is none that bcrypt makes
            return False


def _serve() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    step_back(NICENESS)
    lines = _lines()
    hashing = Hashing(next(lines, ""))
    for password, *question in lines:
        answer = hashing.verify(password, *question) if question else hashing.digest(password)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _lines() -> Iterator[Any]:
    for line in sys.stdin:
        if line.endswith("\n"):
            yield json.loads(line)


if __name__ == "__main__":
    _serve()
