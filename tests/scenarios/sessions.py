"""Where a driver is signed in, and signing out elsewhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.scenarios import tokens
from tests.scenarios.accounts import NOT_SIGNED_IN, instant
from tests.support.client import Answer
from tests.support.drivers import add_session, new_driver
from tests.support.scenario import Scenario, Stage, Who, error
from tests.support.tokens import payload_of

SESSIONS = "/api/v1/users/sessions"

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def _own(stage: Stage) -> str:
    return str(payload_of(stage.driver.token)["jti"])


def _named(name: str) -> Callable[[Stage], str]:
    return lambda stage: f"{SESSIONS}/{name}-of-{stage.driver.id}"


def _signed_in(stage: Stage) -> None:
    """Here, on a phone before that, on one that was lost, and somebody else elsewhere."""
    driver, mine = stage.driver, stage.driver.id
    add_session(
        stage.tables,
        driver,
        f"phone-of-{mine}",
        created_at=NOW - 2 * DAY,
        address="203.0.113.7",
        user_agent="Roadworthy/2.1 (iPhone)",
    )
    add_session(stage.tables, driver, _own(stage), created_at=NOW - DAY)
    add_session(
        stage.tables,
        driver,
        f"expired-of-{mine}",
        created_at=NOW - 31 * DAY,
        expires_at=NOW - DAY,
    )
    add_session(stage.tables, new_driver(stage.tables), f"other-of-{mine}")


def _others_try(stage: Stage) -> None:
    """Somebody's password is being verified; the service was stopped as another was answered."""
    driver, mine, now = stage.driver, stage.driver.id, datetime.now(UTC)
    add_session(stage.tables, driver, _own(stage), created_at=now, is_proven=False)
    add_session(stage.tables, driver, f"trying-at-{mine}", created_at=now, is_proven=False)
    add_session(stage.tables, driver, f"phone-of-{mine}", created_at=NOW - DAY / 2, is_proven=False)


def _listed(stage: Stage) -> dict[str, Any]:
    rows = {row["jti"]: row for row in stage.tables.rows("sessions", user_id=stage.driver.id)}
    ids = (_own(stage), f"phone-of-{stage.driver.id}")
    return {
        "sessions": [
            {
                "id": jti,
                "address": rows[jti]["address"],
                "created_at": instant(rows[jti]["created_at"]),
                "current": jti == ids[0],
                "expires_at": instant(rows[jti]["expires_at"]),
                "user_agent": rows[jti]["user_agent"],
            }
            for jti in ids
        ]
    }


def _is_revoked(name: str) -> Callable[[Stage, Answer], None]:
    def check(stage: Stage, _: Answer) -> None:
        jti = f"{name}-of-{stage.driver.id}" if name else _own(stage)
        assert not stage.tables.rows("sessions", jti=jti)
        (row,) = stage.tables.rows("revoked_tokens", jti=jti)
        assert row["expires_at"] > NOW

    return check


_ENDED = {"sessions": -1, "revoked_tokens": 1}

SCENARIOS = [
    Scenario(
        name="a driver's own sessions are listed, the newest first",
        before=_signed_in,
        method="GET",
        path=SESSIONS,
        answer=_listed,
    ),
    Scenario(
        name="sign-ins whose password is not verified yet are not listed",
        before=_others_try,
        method="GET",
        path=SESSIONS,
        answer=_listed,
    ),
    Scenario(
        name="HEAD of the sessions has their headers",
        before=_signed_in,
        method="HEAD",
        path=SESSIONS,
    ),
    Scenario(
        name="a token from elsewhere has no session to list",
        method="GET",
        path=SESSIONS,
        answer={"sessions": []},
    ),
    Scenario(
        name="a session elsewhere is ended",
        before=_signed_in,
        method="DELETE",
        path=_named("phone"),
        status=204,
        changes=_ENDED,
        after=_is_revoked("phone"),
    ),
    Scenario(
        name="a session is ended by a path that is usual too",
        before=_signed_in,
        method="DELETE",
        path=lambda stage: f"/{_named('phone')(stage)}.json/",
        status=204,
        changes=_ENDED,
        after=_is_revoked("phone"),
    ),
    Scenario(
        name="the session that asks is ended",
        before=_signed_in,
        method="DELETE",
        path=lambda stage: f"{SESSIONS}/{_own(stage)}",
        status=204,
        changes=_ENDED,
        after=_is_revoked(""),
    ),
    *(
        Scenario(
            name=f"there is no such session: {what}",
            before=_signed_in,
            method="DELETE",
            path=path,
            status=404,
            answer=error(404),
        )
        for what, path in (
            ("another driver's", _named("other")),
            ("nobody's", _named("nobody")),
            ("the template's own", f"{SESSIONS}/{{id}}"),
            ("a NUL", f"{SESSIONS}/%00"),
            ("what is no UTF-8", f"{SESSIONS}/%ff"),
            ("a long one", f"{SESSIONS}/{'x' * 300}"),
        )
    ),
    *(
        Scenario(
            name=f"{method} of sessions {what}",
            who=who,
            before=before,
            method=method,
            path=path,
            status=401,
            answer=answer,
        )
        for method, path in (("GET", SESSIONS), ("DELETE", f"{SESSIONS}/1"))
        for what, who, before, answer in (
            ("without a token", Who.NOBODY, None, NOT_SIGNED_IN),
            ("with a revoked one", Who.DRIVER, tokens.revoke, {"error": "revoked token"}),
        )
    ),
]
