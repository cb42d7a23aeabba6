"""A retry with the same `Idempotency-Key` gets the first answer again."""

import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from roadworthy.database import Connection, Database, IntegrityError
from roadworthy.wire.errors import Conflict, TooManyRequests, Unprocessable
from roadworthy.wire.messages import Request, Response
from roadworthy.wire.queries import (
    Answer,
    Key,
    find_answer,
    keep_answer,
    keep_refusal,
)
from roadworthy.wire.values import Refused, text_value

LIFETIME = timedelta(hours=24)

_BOUNDARY = re.compile(rb"""boundary="?([^";]+)""", re.IGNORECASE)

_OTHER_REQUEST = "has already been used for another request"


class Keep(Protocol):
    """Call it in the transaction that does what is answered."""

    def __call__(self, connection: Connection, status: int, body: bytes) -> None:
        """Keep this answer, if this transaction commits."""


class Idempotency:
    """Keeps the answers of creates for a day; `clock` gives the current time, in UTC."""

    def __init__(self, database: Database, clock: Callable[[], datetime]):
        self._database = database
        self._clock = clock

    async def once(
        self,
        request: Request,
        user_id: int,
        create: Callable[[Keep | None], Awaitable[Response]],
        *,
        said: bytes | None = None,
    ) -> Response:
        """What `create` answers, or answered to the same request before.

        `create` gets `None` when there is no key. Kept are successes, by `create` itself in its
        own transaction, and 422. Look up what `create` depends on before you call this: then nobody
        who saw its effect misses the key. The same is what has the same query and body, or `said`
        the same where a body is no part of what is created. Raises a `Refusal`.
        """
        key = _key(request, user_id)
        if key is None:
            return await create(None)
        digest = await _digest(request) if said is None else hashlib.sha256(said).hexdigest()
        kept = await self._database.read(find_answer, key, self._clock() - LIFETIME)
        if kept is not None:
            return _again(kept, digest)
        return await self._first(key, digest, create)

    async def _first(
        self, key: Key, digest: str, create: Callable[[Keep | None], Awaitable[Response]]
    ) -> Response:
        now = self._clock()

        def keep(connection: Connection, status: int, body: bytes) -> None:
            keep_answer(connection, key, Answer(digest, status, body), now, LIFETIME)

        try:
            return await create(keep)
        except Unprocessable as refusal:
            answer = Answer(digest, refusal.status, refusal.body)
            kept = await self._keep_refusal(key, answer)
        except (IntegrityError, Conflict, TooManyRequests):
            found = await self._database.read(find_answer, key, now - LIFETIME)
            if found is None:
                raise
            kept = found  # the same request was quicker elsewhere, and took what there was
        return _again(kept, digest)

    async def _keep_refusal(self, key: Key, answer: Answer) -> Answer:
        """The answer kept under `key`: this one, unless the same request was quicker elsewhere.

        Of an account that has many kept it is not: nothing was created, and it would be the same.
        """
        now = self._clock()
        try:
            await self._database.write(keep_refusal, key, answer, now, LIFETIME)
        except IntegrityError:
            kept = await self._database.read(find_answer, key, now - LIFETIME)
            return kept or answer
        return answer


def _key(request: Request, user_id: int) -> Key | None:
    sent = request.header(b"idempotency-key")
    if not sent:
        return None
    with contextlib.suppress(UnicodeError):
        sent = sent.encode("latin-1").decode("utf-8")
    try:
        text_value(sent)
    except Refused as refused:
        raise Unprocessable({"idempotency_key": [str(refused)]}) from None
    return Key(user_id, request.method, request.path, sent)


async def _digest(request: Request) -> str:
    """Tells another request from the same one, sent again by a client that begins anew.

    Such a one makes up another boundary, and may ask for the format otherwise.
    """
    query = b"&".join(pair for pair in request.query.split(b"&") if pair != b"format=json")
    if request.form is not None:
        return hashlib.sha256(query + b"\0" + request.form.digest).hexdigest()
    declared, body = request.headers.get(b"content-type", b""), await request.body()
    boundary = _BOUNDARY.search(declared)
    if boundary:
        body = body.replace(b"--" + boundary[1], b"--")
    kind = declared.partition(b";")[0].strip().lower()
    return hashlib.sha256(b"\0".join((kind, query, body))).hexdigest()


def _again(kept: Answer, digest: str) -> Response:
    if kept.digest != digest:
        raise Unprocessable({"idempotency_key": [_OTHER_REQUEST]})
    return Response(kept.status, kept.body)
