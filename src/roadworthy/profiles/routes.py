"""`/api/v1/users/profile`: the signed-in driver's own profile."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, date, datetime
from typing import Any

from roadworthy.accounts import TokenRefused, Tokens, bearer
from roadworthy.database import Connection, Database, IntegrityError
from roadworthy.documents import (
    LISTS,
    MOST_IN_LIST,
    SLOTS,
    Documents,
    Links,
    NotAttachable,
    Placing,
    TooManySubmissions,
    Wanted,
    place_files,
)
from roadworthy.profiles.profile import ENGLISH_LEVELS, FIELDS, LONGEST_BIO, judge_profile
from roadworthy.profiles.queries import (
    Driver,
    change_profile,
    create_profile,
    delete_profile,
    find_driver,
    find_profile,
)
from roadworthy.profiles.representation import Rendering, Renderings, render, render_new
from roadworthy.profiles.schemas import ProfileBody
from roadworthy.wire import (
    BadRequest,
    Fields,
    Idempotency,
    Keep,
    NotFound,
    Operation,
    Parameter,
    Parameters,
    Request,
    Response,
    Route,
    TooManyRequests,
    Unprocessable,
    nested,
    shapes,
)
from roadworthy.wire.values import INVALID, TAKEN

PATH = "/api/v1/users/profile"

BRIEF_SECONDS = 0.5
SUBMITTING_AGAIN_SECONDS = 60 * 60


class ProfileRoutes:
    """Create, show, change and delete a driver's profile; `clock` gives the time, in UTC."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        documents: Documents,
        clock: Callable[[], datetime],
    ):
        self._database = database
        self._tokens = tokens
        self._documents = documents
        self._clock = clock
        self._renderings = Renderings()
        database.when_lost(self._renderings.forget)
        self._idempotency = Idempotency(database, clock)

    def __iter__(self) -> Iterator[Route]:
        yield Route("GET", PATH, self.show, _SHOW)
        yield Route("POST", PATH, self.create, _CREATE)
        yield Route("PATCH", PATH, self.change, _CHANGE)
        yield Route("PUT", PATH, self.change, _CHANGE)
        yield Route("DELETE", PATH, self.delete, _DELETE)

    async def create(self, request: Request) -> Response:
        """Complete a driver's registration."""
        return await self._with_body(
            request,
            lambda driver: self._idempotency.once(
                request, driver.id, lambda keep: self._create(request, driver, keep)
            ),
        )

    async def _create(self, request: Request, driver: Driver, keep: Keep | None) -> Response:
        fields, wanted = judge_profile(await _given(request), every=True)
        if driver.profile_id is not None:
            fields.refuse("user", TAKEN)
        try:
            async with self._checked(request, driver, wanted, fields) as placing:
                while (
                    made := await self._register(request, driver, fields.taken, placing, keep)
                ) is None:
                    driver = await self._driver(request)  # the account was changed a moment ago
        except IntegrityError:
            raise Unprocessable({"user": [TAKEN]}) from None
        except NotAttachable as error:
            raise Unprocessable({error.slot: [INVALID]}) from None
        except TooManySubmissions:
            raise TooManyRequests(SUBMITTING_AGAIN_SECONDS) from None
        return self._shown(*made)

    async def _register(
        self,
        request: Request,
        driver: Driver,
        values: Mapping[str, Any],
        placing: Placing,
        keep: Keep | None,
    ) -> tuple[int, Rendering] | None:
        now = self._clock()
        if not any(placing.values()):
            if keep is None:
                return await self._database.write_one(_register, driver, values, now)
            return await self._database.write(_register, driver, values, now, keep)
        links = self._links(request, driver)

        def register(connection: Connection) -> tuple[int, Rendering] | None:
            profile_id = create_profile(connection, driver, values, now)
            if profile_id is None:
                return None
            place_files(connection, driver.id, profile_id, placing, now)
            profile = find_profile(connection, profile_id)
            assert profile is not None  # noqa: S101 -- it has just been created
            rendering = render(profile, links)
            if keep:
                keep(connection, 200, rendering.body)
            return profile_id, rendering

        return await self._database.write(register)

    async def show(self, request: Request) -> Response:
        """The driver's profile."""
        driver = await self._driver(request)
        profile_id, version, recorded = _profile_of(driver)
        known = self._renderings.find(profile_id, version, recorded)
        if known is not None and known.holds(lambda: self._documents.outlook(request)):
            return Response(200, known.body, etag=known.etag)
        profile = await self._database.read(find_profile, profile_id)
        if profile is None:
            raise NotFound
        return self._shown(profile_id, render(profile, self._links(request, driver)))

    async def change(self, request: Request) -> Response:
        """Change the fields that are given."""
        return await self._with_body(request, lambda driver: self._change(request, driver))

    async def _change(self, request: Request, driver: Driver) -> Response:
        profile_id, _, _ = _profile_of(driver)
        fields, wanted = judge_profile(await _given(request), every=False)
        try:
            async with self._checked(request, driver, wanted, fields) as placing:
                changed = await self._database.write(
                    change_profile, profile_id, fields.taken, placing, self._clock()
                )
        except NotAttachable as error:
            raise Unprocessable({error.slot: [INVALID]}) from None
        except TooManySubmissions:
            raise TooManyRequests(SUBMITTING_AGAIN_SECONDS) from None
        if changed is None:
            raise NotFound
        return self._shown(profile_id, render(changed, self._links(request, driver)))

    async def delete(self, request: Request) -> Response:
        """Delete the profile; what it said is kept for the days it held."""
        profile_id, _, _ = _profile_of(await self._driver(request))
        if not await self._database.write(delete_profile, profile_id, self._clock()):
            raise NotFound
        return Response(204)

    async def _driver(self, request: Request) -> Driver:
        """Who asks: one look-up answers for the user, the token and the profile's version."""
        who = bearer(request, self._tokens, self._clock())
        driver = await self._database.read(find_driver, who.user_id, who.jti)
        if driver is None:
            raise TokenRefused("nil user")
        if driver.revoked:
            raise TokenRefused("revoked token")
        return driver

    async def _with_body(
        self, request: Request, answer: Callable[[Driver], Awaitable[Response]]
    ) -> Response:
        """What `answer` gives for who asks, once the body is here; looked up again after one that
        was long in coming, as they may have signed out since.
        """
        driver = await self._driver(request)
        if driver.profile_id is None and request.method != "POST":
            raise NotFound
        began = time.monotonic()

        async def answered() -> Response:
            is_brief = time.monotonic() - began < BRIEF_SECONDS
            return await answer(driver if is_brief else await self._driver(request))

        return await self._documents.with_body(request, driver.id, answered)

    def _checked(
        self, request: Request, driver: Driver, wanted: Wanted, fields: Fields
    ) -> AbstractAsyncContextManager[Placing]:
        """The blobs for their places, to be put there while it lasts.

        Raises `Unprocessable` when a field or a file is refused.
        """
        if wanted:
            return self._checked_files(request, driver, wanted, fields)
        _require_taken(fields)
        return nullcontext({})

    @asynccontextmanager
    async def _checked_files(
        self, request: Request, driver: Driver, wanted: Wanted, fields: Fields
    ) -> AsyncIterator[Placing]:
        checked = self._documents.checked(request, driver.id, driver.profile_id, wanted)
        async with checked as (placing, errors):
            fields.errors.update(errors)
            for slot in (*SLOTS, *LISTS):  # as documented, whoever found out first
                if slot in fields.errors:
                    fields.errors[slot] = fields.errors.pop(slot)
            _require_taken(fields)
            yield placing

    def _links(self, request: Request, driver: Driver) -> Links:
        return self._documents.links(driver.id, self._documents.outlook(request))

    def _shown(self, profile_id: int, rendering: Rendering) -> Response:
        self._renderings.keep(profile_id, rendering)
        return Response(200, rendering.body, etag=rendering.etag)


def _profile_of(driver: Driver) -> tuple[int, int, datetime]:
    """The id and version of the driver's profile, and when that was recorded. Raises `NotFound`."""
    if driver.profile_id is None or driver.version is None or driver.recorded is None:
        raise NotFound
    return driver.profile_id, driver.version, driver.recorded


def _require_taken(fields: Fields) -> None:
    if fields.errors:
        raise Unprocessable(fields.errors)


def _register(
    connection: Connection,
    driver: Driver,
    values: Mapping[str, Any],
    now: datetime,
    keep: Keep | None = None,
) -> tuple[int, Rendering] | None:
    """The new profile and its bytes, which a retry gets again; one statement, but for that.

    `None` when the account is no longer what `driver` says.
    """
    profile_id = create_profile(connection, driver, values, now)
    if profile_id is None:
        return None
    rendering = render_new(profile_id, driver.email, driver.phone_number, values, now)
    if keep:
        keep(connection, 200, rendering.body)
    return profile_id, rendering


async def _given(request: Request) -> Parameters:
    given = await nested(request, "profile", (*FIELDS, *SLOTS, *LISTS))
    if not given:
        raise BadRequest("profile is missing or empty")
    return given


_TOO_MANY_FILES = "Too many files at once, waiting, or handed in today"
_NAMED = "Signed ids, or files in multipart"
_TEXT = shapes.required_text()
_DAY = shapes.day()
_FILES, _FILE = shapes.files(MOST_IN_LIST), shapes.file(MOST_IN_LIST)
_PARAMETERS = (
    Parameter("first_name", "Profile first name", _TEXT, required=True),
    Parameter("last_name", "Profile last name", _TEXT, required=True),
    Parameter("postcode", "Profile postcode", _TEXT, required=True),
    Parameter("birth_date", "Profile birth date", _DAY, required=True),
    Parameter("start_date", "Profile start date", _DAY, required=True),
    Parameter("contact_phone_number", "Profile contact phone number", _TEXT, required=True),
    Parameter("bio", "Profile bio", shapes.optional_text(LONGEST_BIO)),
    Parameter("english_level", "Profile English level", shapes.choice(ENGLISH_LEVELS)),
)
_FILE_PARAMETERS = (
    *(
        Parameter(
            name, "Signed ids, or files in multipart; several photographs become one PDF", _FILE
        )
        for name in SLOTS
    ),
    *(
        Parameter(name, "Signed ids, or files in multipart, of exactly what shall be there", _FILES)
        for name in LISTS
    ),
)
_EXAMPLE = {
    "first_name": "Virgie",
    "last_name": "Luettgen",
    "postcode": "123",
    "start_date": "2020-03-20T10:02:34.340Z",
    "birth_date": "2000-03-20T10:02:34.340Z",
    "contact_phone_number": "07856 207372",
}
_DAYS = {name: date.fromisoformat(_EXAMPLE[name][:10]) for name in ("start_date", "birth_date")}
_ANSWER = render_new(
    707, ".+driver@example.com", None, {**_EXAMPLE, **_DAYS}, datetime.now(UTC)
).body
_SHOW = Operation(
    "Show profile",
    tag="Users > Profile",
    answers={200: "The profile", 404: "No profile yet"},
    schema=ProfileBody,
    answer=_ANSWER,
    signed_in=True,
    conditional=True,
)
_CREATE = Operation(
    "Complete driver registration",
    tag="Users > Profile",
    answers={200: "The profile", 422: "Values refused", 429: _TOO_MANY_FILES},
    schema=ProfileBody,
    answer=_ANSWER,
    key="profile",
    flat_body=True,
    parameters=(*_PARAMETERS, *_FILE_PARAMETERS),
    example=_EXAMPLE,
    signed_in=True,
    keeps_answers=True,
)
_CHANGE = Operation(
    "Change the given fields of the profile",
    tag="Users > Profile",
    answers={
        200: "The profile",
        404: "No profile yet",
        422: "Values refused",
        429: _TOO_MANY_FILES,
    },
    schema=ProfileBody,
    answer=_ANSWER,
    key="profile",
    flat_body=True,
    parameters=(*(each.optional() for each in _PARAMETERS), *_FILE_PARAMETERS),
    example={"postcode": "AB1 2CD"},
    signed_in=True,
)
_DELETE = Operation(
    "Delete the profile",
    tag="Users > Profile",
    answers={204: "Deleted", 404: "No profile yet"},
    signed_in=True,
)
