"""What links in mails do, and asking for them, for who is not signed in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher

from tests.scenarios.accounts import BLANK, USERS
from tests.support.client import Answer
from tests.support.drivers import PASSWORD, add_session
from tests.support.mail import link_to
from tests.support.scenario import Scenario, Stage, Who, error, refused

FORGOTTEN = f"{USERS}/password"
CONFIRMATION = f"{USERS}/confirmation"

INVALID = "is invalid"
NEW_PASSWORD = "another correct horse"
TOKEN = "what the driver's link carries, but for the number of it"

PAST = datetime.now(UTC) - timedelta(seconds=1)


def _mailed(purpose: str, **changes: Any) -> Callable[[Stage], None]:
    """The driver was sent a link that carries `_token`."""

    def mail(stage: Stage) -> None:
        link_to(stage.tables, stage.driver.id, purpose, **changes, token=_token(stage))

    return mail


def _token(stage: Stage) -> str:
    return f"{TOKEN} {stage.driver.id}"


def _user(stage: Stage) -> dict[str, Any]:
    (user,) = stage.tables.rows("users", id=stage.driver.id)
    return user


def _signed_in_and_mailed(stage: Stage) -> None:
    _mailed("reset")(stage)
    add_session(stage.tables, stage.driver, f"recovered {stage.driver.id}")


def _has_the_new_password(stage: Stage, _: Answer) -> None:
    user = _user(stage)
    assert user["password_digest"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PasswordHasher().verify(user["password_digest"], NEW_PASSWORD)
    assert user["password_changed_at"] == user["updated_at"] > user["created_at"]
    assert not stage.tables.rows("mailed_links", user_id=user["id"])


def _has_the_old_password(stage: Stage, _: Answer) -> None:
    user = _user(stage)
    assert PasswordHasher().verify(user["password_digest"], PASSWORD)
    assert user["password_changed_at"] is None


def _link_is_still_good(stage: Stage, answer: Answer) -> None:
    _has_the_old_password(stage, answer)
    assert len(stage.tables.rows("mailed_links", user_id=stage.driver.id)) == 1


def _is_confirmed(stage: Stage, _: Answer) -> None:
    assert _user(stage)["confirmed_at"] is not None
    assert not stage.tables.rows("mailed_links", user_id=stage.driver.id)


def _is_confirmable(stage: Stage, answer: Answer) -> None:
    _is_not_confirmed(stage, answer)
    assert len(stage.tables.rows("mailed_links", user_id=stage.driver.id)) == 1


def _is_not_confirmed(stage: Stage, _: Answer) -> None:
    assert _user(stage)["confirmed_at"] is None


def _choosing(**changes: Any) -> Callable[[Stage], dict[str, Any]]:
    """A new password by the driver's link; a field set to `...` is left out."""

    def body(stage: Stage) -> dict[str, Any]:
        fields = {
            "reset_password_token": _token(stage),
            "password": NEW_PASSWORD,
            "password_confirmation": NEW_PASSWORD,
            **changes,
        }
        return {"user": {name: value for name, value in fields.items() if value is not ...}}

    return body


def _moved(stage: Stage) -> None:
    """The address was changed after the link was sent."""
    _mailed("reset", email="old@example.com")(stage)


def _closed(stage: Stage) -> None:
    _mailed("reset")(stage)
    _mailed("confirmation", digest=f"{stage.driver.id}")(stage)
    users = stage.tables["users"]
    closed = {"closed_at": datetime.now(UTC)}
    stage.tables.execute(users.update().where(users.c.id == stage.driver.id).values(**closed))


def _asking(email: str | None) -> Callable[[Stage], dict[str, Any]]:
    return lambda stage: {"user": {"email": email or stage.driver.email}}


def _confirming(stage: Stage) -> str:
    return f"{CONFIRMATION}?confirmation_token={_token(stage).replace(' ', '+')}"


_NO_TOKEN: list[tuple[str, object]] = [
    ("no token", ...),
    ("an empty token", ""),
    ("a token of null", None),
    ("a token of spaces", "  "),
    ("a list of tokens", ["x"]),
    ("an object as token", {"a": "x"}),
]
_NOBODYS_TOKEN: list[tuple[str, object]] = [
    ("a made-up token", "x" * 43),
    ("true as token", True),
    ("a number as token", 1),
    ("a NUL in the token", "a\0b"),
    ("a surrogate as token", "\ud83d"),
    ("a very long token", "x" * 10_000),
]
_NO_LINK: list[tuple[str, Callable[[Stage], None]]] = [
    ("an expired link", _mailed("reset", expires_at=PAST)),
    ("a link for something else", _mailed("confirmation")),
    ("a link that went to another address", _moved),
    ("the link of a closed account", _closed),
]
_BAD_PASSWORDS: list[tuple[str, dict[str, Any], dict[str, object]]] = [
    (
        "a short one",
        {"password": "short", "password_confirmation": "short"},
        refused(password="is too short (minimum is 8 characters)"),
    ),
    (
        "one that is confirmed otherwise",
        {"password_confirmation": "x"},
        refused(password_confirmation="doesn't match Password"),
    ),
    ("none", {"password": ..., "password_confirmation": ...}, refused(password=BLANK)),
    (
        "spaces",
        {"password": " " * 8, "password_confirmation": " " * 8},
        refused(password=BLANK),
    ),
    (
        "one of 129 letters",
        {"password": "x" * 129, "password_confirmation": ...},
        refused(password="is too long (maximum is 128 characters)"),
    ),
]
_NO_ADDRESS: list[tuple[str, dict[str, Any], str]] = [
    ("nothing", {}, BLANK),
    ("an empty user", {"user": {}}, BLANK),
    ("a user of text", {"user": "x"}, BLANK),
    ("an empty address", {"user": {"email": " "}}, BLANK),
    ("a list of addresses", {"user": {"email": ["a@b.c"]}}, BLANK),
    ("what is no address", {"user": {"email": "driver"}}, INVALID),
    ("a NUL in an address", {"user": {"email": "a\0@b.c"}}, INVALID),
    (
        "a long address",
        {"user": {"email": f"{'x' * 251}@b.cd"}},
        "is too long (maximum is 255 characters)",
    ),
]

SCENARIOS = [
    # ask
    *(
        Scenario(
            name=f"asking {what}, for {whose} address",
            who=who,
            path=path,
            json=_asking(email),
            answer={},
        )
        for what, path in (("for a new password", FORGOTTEN), ("to be confirmed", CONFIRMATION))
        for whose, who, email in (
            ("one's own", Who.NOBODY, None),
            ("one's own, signed in,", Who.DRIVER, None),
            ("nobody's", Who.NOBODY, "nobody@example.com"),
            ("an odd", Who.NOBODY, ".+nobody@example.com"),
        )
    ),
    Scenario(
        name="asking for a new password by form",
        who=Who.NOBODY,
        path=f"{FORGOTTEN}.json",
        form=lambda stage: {"user[email]": f" {stage.driver.email.upper()} "},
        answer={},
    ),
    *(
        Scenario(
            name=f"{path} with {what} is answered as sign-up answers it",
            who=Who.NOBODY,
            path=path,
            json=body,
            status=422,
            answer=refused(email=said),
        )
        for path in (FORGOTTEN, CONFIRMATION)
        for what, body, said in _NO_ADDRESS
    ),
    *(
        Scenario(
            name=f"{method} {path} that is no JSON",
            who=Who.NOBODY,
            method=method,
            path=path,
            headers={"content-type": "application/json"},
            body="{",
            status=400,
            answer=error(400),
        )
        for method, path in (("POST", FORGOTTEN), ("PUT", FORGOTTEN), ("POST", CONFIRMATION))
    ),
    # choose a new password
    *(
        Scenario(
            name=f"{method} of a new password by a mailed link",
            who=Who.NOBODY,
            before=_mailed("reset"),
            method=method,
            path=FORGOTTEN,
            json=_choosing(),
            status=204,
            after=_has_the_new_password,
        )
        for method in ("PUT", "PATCH")
    ),
    Scenario(
        name="a new password by a mailed link, not confirmed",
        who=Who.NOBODY,
        before=_mailed("reset"),
        method="PUT",
        path=FORGOTTEN,
        json=_choosing(password_confirmation=...),
        status=204,
        after=_has_the_new_password,
    ),
    Scenario(
        name="a new password by a mailed link, by form",
        who=Who.NOBODY,
        before=_mailed("reset"),
        method="PUT",
        path=FORGOTTEN,
        form=lambda stage: {
            "user[reset_password_token]": _token(stage),
            "user[password]": NEW_PASSWORD,
        },
        status=204,
        after=_has_the_new_password,
    ),
    Scenario(
        name="a new password by a mailed link revokes every token",
        before=_signed_in_and_mailed,
        method="PUT",
        path=FORGOTTEN,
        json=_choosing(),
        status=204,
        changes={"sessions": -1, "revoked_tokens": 1},
        after=_has_the_new_password,
    ),
    *(
        Scenario(
            name=f"no new password with {what}",
            who=Who.NOBODY,
            before=_mailed("reset"),
            method="PUT",
            path=FORGOTTEN,
            json=_choosing(reset_password_token=token, password="short"),
            status=422,
            answer=refused(reset_password_token=said),
            after=_link_is_still_good,
        )
        for tokens, said in ((_NO_TOKEN, BLANK), (_NOBODYS_TOKEN, INVALID))
        for what, token in tokens
    ),
    *(
        Scenario(
            name=f"no new password with {what}",
            who=Who.NOBODY,
            before=before,
            method="PUT",
            path=FORGOTTEN,
            json=_choosing(),
            status=422,
            answer=refused(reset_password_token=INVALID),
            after=_has_the_old_password,
        )
        for what, before in _NO_LINK
    ),
    *(
        Scenario(
            name=f"a new password by a mailed link: {what} is refused, and the link stays good",
            who=Who.NOBODY,
            before=_mailed("reset"),
            method="PUT",
            path=FORGOTTEN,
            json=_choosing(**changes),
            status=422,
            answer=answer,
            after=_link_is_still_good,
        )
        for what, changes, answer in _BAD_PASSWORDS
    ),
    # confirm
    Scenario(
        name="an address is confirmed by a mailed link",
        who=Who.NOBODY,
        before=_mailed("confirmation"),
        method="GET",
        path=_confirming,
        answer={},
        after=_is_confirmed,
    ),
    Scenario(
        name="who only looks whether the link is there uses nothing up",
        who=Who.NOBODY,
        before=_mailed("confirmation"),
        method="HEAD",
        path=_confirming,
        after=_is_confirmable,
    ),
    Scenario(
        name="who only looks is told that it is not",
        who=Who.NOBODY,
        method="HEAD",
        path=_confirming,
        status=422,
    ),
    *(
        Scenario(
            name=f"no address is confirmed by {what}",
            who=Who.NOBODY,
            before=before,
            method="GET",
            path=_confirming,
            status=422,
            answer=refused(confirmation_token=INVALID),
            after=_is_not_confirmed,
        )
        for what, before in (
            ("an expired link", _mailed("confirmation", expires_at=PAST)),
            ("a link for something else", _mailed("reset")),
            ("a link to another address", _mailed("confirmation", email="old@example.com")),
            ("the link of a closed account", _closed),
        )
    ),
    *(
        Scenario(
            name=f"{CONFIRMATION}{query} confirms nothing",
            who=Who.NOBODY,
            method="GET",
            path=f"{CONFIRMATION}{query}",
            status=422,
            answer=refused(confirmation_token=said),
        )
        for query, said in (
            ("", BLANK),
            ("?confirmation_token=", BLANK),
            ("?confirmation_token[]=x", BLANK),
            ("?confirmation_token=x", INVALID),
            ("?confirmation_token=%00", INVALID),
        )
    ),
    Scenario(
        name="a confirmation with a query that is no UTF-8",
        who=Who.NOBODY,
        method="GET",
        path=f"{CONFIRMATION}?confirmation_token=%ff",
        status=400,
        answer=error(400),
    ),
]
