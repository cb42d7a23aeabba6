"""The account, as its driver sees, changes and closes it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from argon2 import PasswordHasher

from tests.scenarios import tokens
from tests.scenarios.accounts import BLANK, NOT_SIGNED_IN, USERS, own_account
from tests.support.client import Answer
from tests.support.drivers import PASSWORD, add_session, compact, new_driver
from tests.support.mail import link_to
from tests.support.scenario import Scenario, Stage, Who, error, etag_of, refused
from tests.support.tokens import claims, forge, payload_of

INVALID = "is invalid"
NEW_PASSWORD = "another correct horse"


def _user(stage: Stage) -> dict[str, Any]:
    (user,) = stage.tables.rows("users", id=stage.driver.id)
    return user


def _etag(stage: Stage) -> str:
    return etag_of(compact(own_account(stage)).encode())


def _proved(**fields: Any) -> dict[str, Any]:
    return {"user": {"current_password": PASSWORD, **fields}}


def _address(stage: Stage) -> str:
    return f"new.{stage.driver.email}"


def _became(**values: Any) -> Callable[[Stage, Answer], None]:
    """The account has these values, and has not changed otherwise."""

    def check(stage: Stage, _: Answer) -> None:
        user = _user(stage)
        for name, value in values.items():
            assert user[name] == (value(stage) if callable(value) else value), name
        assert user["updated_at"] > user["created_at"]

    return check


def _unchanged(stage: Stage, _: Answer) -> None:
    user = _user(stage)
    assert (user["email"], user["phone_number"]) == (stage.driver.email, None)
    assert PasswordHasher().verify(user["password_digest"], PASSWORD)
    assert user["updated_at"] == user["created_at"]


def _has_the_new_password(stage: Stage, _: Answer) -> None:
    user = _user(stage)
    assert PasswordHasher().verify(user["password_digest"], NEW_PASSWORD)
    assert user["password_changed_at"] == user["updated_at"]


def _confirm(stage: Stage) -> None:
    users = stage.tables["users"]
    mine = users.c.id == stage.driver.id
    stage.tables.execute(users.update().where(mine).values(confirmed_at=datetime.now(UTC)))


def _confirmed_with_links(stage: Stage) -> None:
    _confirm(stage)
    link_to(stage.tables, stage.driver.id, "reset")


def _is_still_confirmed(stage: Stage, _: Answer) -> None:
    assert _user(stage)["confirmed_at"] is not None


def _is_not_confirmed(stage: Stage, _: Answer) -> None:
    user = _user(stage)
    assert (user["email"], user["confirmed_at"]) == (_address(stage), None)
    assert not stage.tables.rows("mailed_links", user_id=user["id"], purpose="reset")


def _signed_in_elsewhere(stage: Stage) -> None:
    """Twice, and here."""
    for jti in ("one", "two"):
        add_session(stage.tables, stage.driver, f"{stage.driver.id} {jti}")
    add_session(stage.tables, stage.driver, payload_of(stage.driver.token)["jti"])


def _only_this_token_counts(stage: Stage, _: Answer) -> None:
    sessions = stage.tables.rows("sessions", user_id=stage.driver.id)
    jti = payload_of(stage.driver.token)["jti"]
    assert [session["jti"] for session in sessions] == [jti]
    for other in ("one", "two"):
        assert stage.tables.rows("revoked_tokens", jti=f"{stage.driver.id} {other}")
    assert not stage.tables.rows("revoked_tokens", jti=jti)


def _is_closed(stage: Stage, _: Answer) -> None:
    user = _user(stage)
    assert user["closed_at"] is not None
    assert "@" not in user["email"]
    assert user["password_digest"] == ""
    kept = stage.tables.rows("closed_accounts", user_id=user["id"])
    assert [row["email"] for row in kept] == [stage.driver.email]
    for name in ("sessions", "mailed_links"):
        assert not stage.tables.rows(name, user_id=user["id"])


def _with_everything(stage: Stage) -> None:
    _signed_in_elsewhere(stage)
    link_to(stage.tables, stage.driver.id, "reset")
    link_to(stage.tables, stage.driver.id, "confirmation")


def _close(stage: Stage) -> None:
    users = stage.tables["users"]
    closed = {"closed_at": datetime.now(UTC), "email": f"closed-{stage.driver.id}"}
    stage.tables.execute(users.update().where(users.c.id == stage.driver.id).values(**closed))


def _to_somebodys_address(proof: str) -> Callable[[Stage], dict[str, Any]]:
    def change(stage: Stage) -> dict[str, Any]:
        return _proved(email=new_driver(stage.tables).email.upper(), current_password=proof)

    return change


def _version_was_raised(by: int) -> Callable[[Stage, Answer], None]:
    def check(stage: Stage, _: Answer) -> None:
        assert stage.profile is not None
        assert stage.profile["version"] == 1 + by

    return check


_CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a phone number", {"phone_number": "01632 960001"}, {"phone_number": "01632 960001"}),
    ("a phone number of digits", {"phone_number": 1632960001}, {"phone_number": "1632960001"}),
    ("an address", {"email": " Changed.To@Example.com "}, {"email": "changed.to@example.com"}),
    (
        "both",
        {"email": "both@example.com", "phone_number": "1"},
        {"email": "both@example.com", "phone_number": "1"},
    ),
    (
        "a phone number beside a blank password",
        {"phone_number": "2", "password": "", "password_confirmation": ""},
        {"phone_number": "2"},
    ),
    (
        "a phone number beside what nobody may set",
        {"phone_number": "3", "id": 1, "confirmed_at": "2020-01-01", "password_digest": "x"},
        {"phone_number": "3", "confirmed_at": None},
    ),
]
_NOTHING_NEW: list[tuple[str, dict[str, Any]]] = [
    ("nothing", {}),
    ("an empty password", {"password": ""}),
    ("a password of null", {"password": None, "password_confirmation": None}),
    ("a list as phone number", {"phone_number": ["1"]}),
    ("the phone number there is", {"phone_number": None}),
]
_REFUSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no user", {}, refused(current_password=BLANK)),
    ("a user of text", {"user": "x"}, refused(current_password=BLANK)),
    ("no password", {"user": {"phone_number": "1"}}, refused(current_password=BLANK)),
    ("an empty password", _proved(current_password=""), refused(current_password=BLANK)),
    ("a password of spaces", _proved(current_password="  "), refused(current_password=BLANK)),
    ("a list of passwords", _proved(current_password=[PASSWORD]), refused(current_password=BLANK)),
    ("another password", _proved(current_password="wrong"), refused(current_password=INVALID)),
    ("true as password", _proved(current_password=True), refused(current_password=INVALID)),
    (
        "a NUL in the password",
        _proved(current_password=f"{PASSWORD}\0"),
        refused(current_password=INVALID),
    ),
    (
        "a surrogate in the password",
        _proved(current_password="\ud83d"),
        refused(current_password=INVALID),
    ),
    ("an empty address", _proved(email=""), refused(email=BLANK)),
    ("an address of null", _proved(email=None), refused(email=BLANK)),
    ("an address without @", _proved(email="driver"), refused(email=INVALID)),
    ("a NUL in the address", _proved(email="a\0@b.c"), refused(email=INVALID)),
    (
        "a short new password",
        _proved(password="short"),
        refused(password="is too short (minimum is 8 characters)"),
    ),
    (
        "a new password of another confirmation",
        _proved(password=NEW_PASSWORD, password_confirmation="x"),
        refused(password_confirmation="doesn't match Password"),
    ),
    (
        "a confirmation of nothing",
        _proved(password_confirmation=NEW_PASSWORD),
        refused(password_confirmation="doesn't match Password"),
    ),
    (
        "a phone number of 256 letters",
        _proved(phone_number="1" * 256),
        refused(phone_number="is too long (maximum is 255 characters)"),
    ),
    (
        "everything wrong at once",
        {
            "user": {
                "current_password": "x",
                "phone_number": True,
                "password_confirmation": "y",
                "password": "short",
                "email": "x",
            }
        },
        refused(
            email=INVALID,
            password="is too short (minimum is 8 characters)",
            password_confirmation="doesn't match Password",
            phone_number=INVALID,
            current_password=INVALID,
        ),
    ),
]

SCENARIOS = [
    # show
    *(
        Scenario(
            name=f"{method} {path} is the account",
            method=method,
            path=path,
            answer=answer,
            answer_headers=lambda stage: {"etag": _etag(stage)},
        )
        for method, path, answer in (
            ("GET", USERS, own_account),
            ("GET", f"{USERS}.json", own_account),
            ("GET", f"{USERS}/?format=json", own_account),
        )
    ),
    Scenario(
        name="HEAD of the account has its headers",
        method="HEAD",
        path=USERS,
        answer_headers=lambda stage: {"etag": _etag(stage)},
    ),
    Scenario(
        name="the account that the client has is 304",
        method="GET",
        path=USERS,
        headers=lambda stage: {"if-none-match": _etag(stage)},
        status=304,
    ),
    Scenario(
        name="the account is somebody's own: without a token nobody's",
        who=Who.NOBODY,
        method="GET",
        path=USERS,
        status=401,
        answer=NOT_SIGNED_IN,
    ),
    *(
        Scenario(
            name=f"{method} of the account with {what}",
            before=before,
            method=method,
            path=USERS,
            json=_proved(phone_number="1"),
            status=401,
            answer={"error": reason},
        )
        for method in ("GET", "PATCH", "PUT", "DELETE")
        for what, before, reason in (
            ("a revoked token", tokens.revoke, "revoked token"),
            ("the token of a closed account", _close, "nil user"),
        )
    ),
    # change
    *(
        Scenario(
            name=f"an account is changed by {what}",
            method="PATCH",
            path=USERS,
            json=_proved(**sent),
            status=204,
            after=_became(**values),
        )
        for what, sent, values in _CHANGES
    ),
    Scenario(
        name="PUT changes the account as PATCH does",
        method="PUT",
        path=USERS,
        json=_proved(phone_number="4"),
        status=204,
        after=_became(phone_number="4"),
    ),
    Scenario(
        name="the account is changed by form",
        method="PATCH",
        path=USERS,
        form={"user[phone_number]": "5", "user[current_password]": PASSWORD},
        status=204,
        after=_became(phone_number="5"),
    ),
    Scenario(
        name="a changed address is not confirmed, and older links are dead",
        before=_confirmed_with_links,
        method="PATCH",
        path=USERS,
        json=lambda stage: _proved(email=_address(stage)),
        status=204,
        after=_is_not_confirmed,
    ),
    Scenario(
        name="the same address in capitals is no change",
        before=_confirm,
        method="PATCH",
        path=USERS,
        json=lambda stage: _proved(email=stage.driver.email.upper()),
        status=204,
        after=_is_still_confirmed,
    ),
    Scenario(
        name="a changed password",
        method="PATCH",
        path=USERS,
        json=_proved(password=NEW_PASSWORD, password_confirmation=NEW_PASSWORD),
        status=204,
        changes={"sessions": 1},
        after=_has_the_new_password,
    ),
    Scenario(
        name="a changed password leaves this token and no other",
        before=_signed_in_elsewhere,
        method="PATCH",
        path=USERS,
        json=_proved(password=NEW_PASSWORD),
        status=204,
        changes={"sessions": -2, "revoked_tokens": 2},
        after=_only_this_token_counts,
    ),
    *(
        Scenario(
            name=f"{what} changed on the account is another version of the profile",
            who=Who.REGISTERED,
            method="PATCH",
            path=USERS,
            json=sent,
            status=204,
            stored={"version": 2},
        )
        for what, sent in (
            ("an address", lambda stage: _proved(email=_address(stage))),
            ("a phone number", _proved(phone_number="6")),
        )
    ),
    Scenario(
        name="a password changed on the account is none",
        who=Who.REGISTERED,
        method="PATCH",
        path=USERS,
        json=_proved(password=NEW_PASSWORD),
        status=204,
        changes={"sessions": 1},
        after=_version_was_raised(0),
    ),
    *(
        Scenario(
            name=f"an account changed by {what} stays as it is",
            method="PATCH",
            path=USERS,
            json=_proved(**sent),
            status=204,
            after=_unchanged,
        )
        for what, sent in _NOTHING_NEW
    ),
    *(
        Scenario(
            name=f"an account is not changed with {what}",
            method="PATCH",
            path=USERS,
            json=sent,
            status=422,
            answer=answer,
            after=_unchanged,
        )
        for what, sent, answer in _REFUSED
    ),
    *(
        Scenario(
            name=f"an account is not changed to somebody's address{what}",
            method="PATCH",
            path=USERS,
            json=_to_somebodys_address(proof),
            status=422,
            answer=answer,
        )
        for what, proof, answer in (
            ("", PASSWORD, refused(email="has already been taken")),
            (
                ", not told to who does not know the password",
                "x",
                refused(current_password=INVALID),
            ),
        )
    ),
    Scenario(
        name="a change of the account that is no JSON",
        method="PATCH",
        path=USERS,
        headers={"content-type": "application/json"},
        body="{",
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="a change of the account that is too large",
        method="PATCH",
        path=USERS,
        json=_proved(phone_number="1" * 20_000),
        status=413,
        answer=error(413),
    ),
    # close
    Scenario(
        name="an account is closed",
        before=_with_everything,
        method="DELETE",
        path=USERS,
        status=204,
        changes={"sessions": -3, "closed_accounts": 1},
        after=_is_closed,
    ),
    Scenario(
        name="an account is closed, and what its profile says is kept",
        who=Who.REGISTERED,
        method="DELETE",
        path=USERS,
        status=204,
        changes={"closed_accounts": 1},
        stored={"version": 1, "first_name": "Virgie"},
    ),
    Scenario(
        name="a closed account shows no profile",
        who=Who.REGISTERED,
        before=_close,
        method="GET",
        status=401,
        answer={"error": "nil user"},
    ),
    Scenario(
        name="nobody signs in to a closed account by its stand-in",
        before=_close,
        who=Who.NOBODY,
        path=f"{USERS}/sign_in",
        json=lambda stage: {"user": {"email": f"closed-{stage.driver.id}", "password": PASSWORD}},
        status=401,
        answer={"error": "Invalid Email or password."},
    ),
    Scenario(
        name="the address of a closed account signs up",
        before=_close,
        who=Who.NOBODY,
        path=USERS,
        json=lambda stage: {"user": {"email": stage.driver.email, "password": PASSWORD}},
        status=201,
        changes={"users": 1, "sessions": 1},
    ),
    Scenario(
        name="an expired token closes nothing",
        method="DELETE",
        path=USERS,
        headers=lambda stage: {"authorization": f"Bearer {forge(claims(stage.driver.id, exp=1))}"},
        status=401,
        answer={"error": "Signature has expired"},
        after=_unchanged,
    ),
]
