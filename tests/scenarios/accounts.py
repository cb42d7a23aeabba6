"""Signing up, in and out."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.scenarios import tokens
from tests.support.client import Answer
from tests.support.drivers import PASSWORD
from tests.support.multipart import BOUNDARY, Part, multipart
from tests.support.scenario import Scenario, Stage, Who, error, refused
from tests.support.tokens import claims, forge, payload_of
from tests.support.waiting import wait_until

USERS = "/api/v1/users"
SIGN_IN = f"{USERS}/sign_in"
SIGN_OUT = f"{USERS}/sign_out"

BLANK = "can't be blank"
NOT_SIGNED_IN = {"error": "You need to sign in or sign up before continuing."}
WRONG = {"error": "Invalid Email or password."}
BEARER = {"authorization": re.compile(r"Bearer [\w-]+\.[\w-]+\.[\w-]+")}

ONE_MORE = {"users": 1, "sessions": 1}
ONE_SESSION = {"sessions": 1}


def _account(email: str, phone_number: str | None = None) -> Callable[[Stage], dict[str, Any]]:
    """The account of that address, as it is stored."""

    def account(stage: Stage) -> dict[str, Any]:
        (user,) = stage.tables.rows("users", email=email)
        assert user["phone_number"] == phone_number
        return _shown(user)

    return account


def own_account(stage: Stage) -> dict[str, Any]:
    (user,) = stage.tables.rows("users", id=stage.driver.id)
    return _shown(user)


def _shown(user: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": user["id"],
        "email": user["email"],
        "phone_number": user["phone_number"],
        "created_at": instant(user["created_at"]),
        "updated_at": instant(user["updated_at"]),
    }


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _user(**fields: Any) -> dict[str, Any]:
    return {"user": {"password": PASSWORD, **fields}}


_SIGN_UPS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("an address and a password", {"email": "plain@example.com"}, "plain@example.com", None),
    ("an address with a dot first", {"email": ".+d@example.com"}, ".+d@example.com", None),
    ("an address in capitals", {"email": "UPPER@Example.COM"}, "upper@example.com", None),
    (
        "spaces around the address",
        {"email": " \t spaced@example.com\n"},
        "spaced@example.com",
        None,
    ),
    ("an address of a few letters", {"email": "a@b"}, "a@b", None),
    ("an address in other letters", {"email": "zoë@exämple.com"}, "zoë@exämple.com", None),
    (
        "a confirmation",
        {"email": "confirmed@example.com", "password_confirmation": PASSWORD},
        "confirmed@example.com",
        None,
    ),
    (
        "a confirmation of null",
        {"email": "unconfirmed@example.com", "password_confirmation": None},
        "unconfirmed@example.com",
        None,
    ),
    (
        "a phone number",
        {"email": "phone@example.com", "phone_number": "07856 207372"},
        "phone@example.com",
        "07856 207372",
    ),
    (
        "a phone number of digits",
        {"email": "digits@example.com", "phone_number": 7856207372},
        "digits@example.com",
        "7856207372",
    ),
    (
        "unknown keys",
        {"email": "keys@example.com", "id": 1, "admin": True, "password_digest": "x"},
        "keys@example.com",
        None,
    ),
    (
        "a password of 8 letters",
        {"email": "eight@example.com", "password": "12345678"},
        "eight@example.com",
        None,
    ),
    (
        "a password of 128 letters",
        {"email": "most@example.com", "password": "\U0001f511" * 128},
        "most@example.com",
        None,
    ),
]

_REFUSED: list[tuple[str, dict[str, Any], dict[str, object]]] = [
    ("no user", {}, refused(email=BLANK, password=BLANK)),
    ("an empty user", {"user": {}}, refused(email=BLANK, password=BLANK)),
    ("a user of text", {"user": "x"}, refused(email=BLANK, password=BLANK)),
    ("a user of null", {"user": None}, refused(email=BLANK, password=BLANK)),
    ("a list of users", {"user": [_user()]}, refused(email=BLANK, password=BLANK)),
    (
        "un-nested fields",
        {"email": "un@example.com", "password": PASSWORD},
        refused(email=BLANK, password=BLANK),
    ),
    ("no address", _user(), refused(email=BLANK)),
    ("an empty address", _user(email=""), refused(email=BLANK)),
    ("an address of spaces", _user(email="  "), refused(email=BLANK)),
    ("a list of addresses", _user(email=["a@b.c"]), refused(email=BLANK)),
    ("an object as address", _user(email={"a": "a@b.c"}), refused(email=BLANK)),
    ("an address without @", _user(email="driver"), refused(email="is invalid")),
    ("an address of @", _user(email="@"), refused(email="is invalid")),
    ("an address with two @", _user(email="a@b@c"), refused(email="is invalid")),
    ("nothing before @", _user(email="@example.com"), refused(email="is invalid")),
    ("nothing after @", _user(email="driver@"), refused(email="is invalid")),
    ("a space within", _user(email="dri ver@example.com"), refused(email="is invalid")),
    ("a new line within", _user(email="a@b.c\nd@e.f"), refused(email="is invalid")),
    ("a number as address", _user(email=1), refused(email="is invalid")),
    ("true as address", _user(email=True), refused(email="is invalid")),
    ("a NUL in the address", _user(email="a\0@b.c"), refused(email="is invalid")),
    ("a surrogate in the address", _user(email="\ud83d@b.c"), refused(email="is invalid")),
    (
        "an address of 256 letters",
        _user(email="x" * 244 + "@example.com"),
        refused(email="is too long (maximum is 255 characters)"),
    ),
    ("no password", {"user": {"email": "no.password@b.c"}}, refused(password=BLANK)),
    ("an empty password", _user(email="e@b.c", password=""), refused(password=BLANK)),
    ("a password of spaces", _user(email="e@b.c", password=" " * 10), refused(password=BLANK)),
    ("a list of passwords", _user(email="e@b.c", password=["12345678"]), refused(password=BLANK)),
    (
        "a password of 7 letters",
        _user(email="e@b.c", password="1234567"),
        refused(password="is too short (minimum is 8 characters)"),
    ),
    (
        "a password of 129 letters",
        _user(email="e@b.c", password="x" * 129),
        refused(password="is too long (maximum is 128 characters)"),
    ),
    (
        "true as password",
        _user(email="e@b.c", password=True),
        refused(password="is invalid"),
    ),
    (
        "a NUL in the password",
        _user(email="e@b.c", password="correct\0horse"),
        refused(password="is invalid"),
    ),
    (
        "a surrogate in the password",
        _user(email="e@b.c", password="correct horse \ud83d"),
        refused(password="is invalid"),
    ),
    (
        "another confirmation",
        _user(email="e@b.c", password_confirmation="correct horse"),
        refused(password_confirmation="doesn't match Password"),
    ),
    (
        "an empty confirmation",
        _user(email="e@b.c", password_confirmation=""),
        refused(password_confirmation="doesn't match Password"),
    ),
    (
        "a phone number of 256 letters",
        _user(email="e@b.c", phone_number="0" * 256),
        refused(phone_number="is too long (maximum is 255 characters)"),
    ),
    (
        "true as phone number",
        _user(email="e@b.c", phone_number=True),
        refused(phone_number="is invalid"),
    ),
    (
        "everything wrong at once",
        {
            "user": {
                "phone_number": "\0",
                "password_confirmation": "x",
                "password": "short",
                "email": "x",
            }
        },
        refused(
            email="is invalid",
            password="is too short (minimum is 8 characters)",
            password_confirmation="doesn't match Password",
            phone_number="is invalid",
        ),
    ),
]


def _token(answer: Answer) -> str:
    return (answer.header("authorization") or "").removeprefix("Bearer ")


def _stored_with_argon2id(stage: Stage, answer: Answer) -> None:
    """OWASP's parameters: 19 MiB, two passes, one lane."""
    (user,) = stage.tables.rows("users", id=answer.json["id"])
    assert user["password_digest"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in user["password_digest"]


def _for_audience(audience: str | None) -> Callable[[Stage, Answer], None]:
    def check(_: Stage, answer: Answer) -> None:
        assert payload_of(_token(answer))["aud"] == audience

    return check


def _revoked_until_it_expires(stage: Stage, _: Answer) -> None:
    payload = payload_of(stage.driver.token)
    (row,) = stage.tables.rows("revoked_tokens", jti=payload["jti"])
    assert row["expires_at"] == datetime.fromtimestamp(payload["exp"], UTC)


def _credentials(**changes: Any) -> Callable[[Stage], dict[str, Any]]:
    return lambda stage: {"user": {"email": stage.driver.email, "password": PASSWORD, **changes}}


def _with_address(written: Callable[[str], str]) -> Callable[[Stage], dict[str, Any]]:
    """The password and the driver's address, written in another way."""
    return lambda stage: _user(email=written(stage.driver.email))


_LONG = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MOVED_IN = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"
"""Of the 72 bytes above and whatever follows: a digest of crypt_blowfish's own tests."""


def _has_moved_in(stage: Stage) -> None:
    _set_digest(stage, _MOVED_IN)


def _has_no_digest(stage: Stage) -> None:
    _set_digest(stage, "none")


def _set_digest(stage: Stage, digest: str) -> None:
    users = stage.tables["users"]
    stage.tables.execute(
        users.update().where(users.c.id == stage.driver.id).values(password_digest=digest)
    )


def _is_renewed(stage: Stage, _: Answer) -> None:
    def digest() -> str:
        (user,) = stage.tables.rows("users", id=stage.driver.id)
        return str(user["password_digest"])

    wait_until(lambda: digest().startswith("$argon2id$v=19$m=19456,t=2,p=1$"), "its renewal")


def _is_as_it_was(stage: Stage, _: Answer) -> None:
    (user,) = stage.tables.rows("users", id=stage.driver.id)
    assert user["password_digest"] == _MOVED_IN


_WRONG: list[tuple[str, dict[str, Any]]] = [
    ("another password", {"password": "correct horse batterY"}),
    ("the password with spaces around it", {"password": f" {PASSWORD} "}),
    ("an empty password", {"password": ""}),
    ("a password of null", {"password": None}),
    ("a list of passwords", {"password": [PASSWORD]}),
    ("an object as password", {"password": {"a": PASSWORD}}),
    ("true as password", {"password": True}),
    ("a number as password", {"password": 12345678}),
    ("a NUL after the password", {"password": PASSWORD + "\0"}),
    ("a surrogate as password", {"password": "\ud83d"}),
    ("a very long password", {"password": "x" * 10_000}),
    ("nobody's address", {"email": "nobody@example.com"}),
    ("an empty address", {"email": ""}),
    ("an address of null", {"email": None}),
    ("a list of addresses", {"email": ["a@b.c"]}),
    ("an object as address", {"email": {"a": "a@b.c"}}),
    ("a number as address", {"email": 1}),
    ("true as address", {"email": True}),
    ("a NUL in the address", {"email": "a\0@b.c"}),
    ("a surrogate in the address", {"email": "\ud83d@b.c"}),
    ("a pattern as address", {"email": "%@example.com"}),
]

SCENARIOS = [
    # up
    *(
        Scenario(
            name=f"sign-up with {what}",
            who=Who.NOBODY,
            path=USERS,
            json=_user(**fields),
            status=201,
            answer=_account(email, phone_number),
            answer_headers=BEARER,
            changes=ONE_MORE,
        )
        for what, fields, email, phone_number in _SIGN_UPS
    ),
    *(
        Scenario(
            name=f"sign-up with {what} is refused",
            who=Who.NOBODY,
            path=USERS,
            json=body,
            status=422,
            answer=answer,
            answer_headers={"authorization": None},
        )
        for what, body, answer in _REFUSED
    ),
    *(
        Scenario(
            name=f"sign-up with {what} is refused: it is somebody's",
            who=Who.NOBODY,
            path=USERS,
            json=_with_address(written),
            status=422,
            answer=refused(email="has already been taken"),
        )
        for what, written in (
            ("an address", str),
            ("an address in capitals", str.upper),
            ("spaces around an address", " {}\t".format),
        )
    ),
    Scenario(
        name="sign-up lists a taken address beside what else is wrong",
        who=Who.NOBODY,
        path=USERS,
        json=lambda stage: _user(email=stage.driver.email, password="short"),
        status=422,
        answer=refused(
            email="has already been taken", password="is too short (minimum is 8 characters)"
        ),
    ),
    Scenario(
        name="sign-up by form",
        who=Who.NOBODY,
        path=USERS,
        form={"user[email]": "form@example.com", "user[password]": PASSWORD},
        status=201,
        answer=_account("form@example.com"),
        changes=ONE_MORE,
    ),
    Scenario(
        name="sign-up by multipart",
        who=Who.NOBODY,
        path=f"{USERS}.json",
        headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"},
        body=multipart(
            [Part("user[email]", "parts@example.com"), Part("user[password]", PASSWORD)]
        ),
        status=201,
        answer=_account("parts@example.com"),
        changes=ONE_MORE,
    ),
    Scenario(
        name="sign-up by query",
        who=Who.NOBODY,
        path=f"{USERS}/?user[email]=query@example.com&user[password]=correct+horse",
        status=201,
        answer=_account("query@example.com"),
        changes=ONE_MORE,
    ),
    Scenario(
        name="sign-up without a body is refused",
        who=Who.NOBODY,
        path=USERS,
        status=422,
        answer=refused(email=BLANK, password=BLANK),
    ),
    Scenario(
        name="a sign-up that is no JSON",
        who=Who.NOBODY,
        path=USERS,
        headers={"content-type": "application/json"},
        body='{"user":',
        status=400,
        answer=error(400),
    ),
    Scenario(
        name="sign-up keeps an argon2id digest",
        who=Who.NOBODY,
        path=USERS,
        json=_user(email="digest@example.com"),
        status=201,
        lacks=("password", "argon2", PASSWORD),
        changes=ONE_MORE,
        after=_stored_with_argon2id,
    ),
    Scenario(
        name="sign-up with a bearer just signs up",
        path=USERS,
        json=_user(email="signed.in@example.com"),
        status=201,
        answer=_account("signed.in@example.com"),
        changes=ONE_MORE,
    ),
    # in
    Scenario(
        name="sign-in gives the account and a token",
        who=Who.NOBODY,
        path=SIGN_IN,
        json=_credentials(),
        status=201,
        changes=ONE_SESSION,
        answer=own_account,
        answer_headers=BEARER,
        after=_for_audience(None),
    ),
    *(
        Scenario(
            name=f"sign-in with the address {what}",
            who=Who.NOBODY,
            path=SIGN_IN,
            json=_with_address(written),
            status=201,
            changes=ONE_SESSION,
            answer=own_account,
        )
        for what, written in (
            ("in capitals", str.upper),
            ("in spaces", "\t {} \r\n".format),
        )
    ),
    Scenario(
        name="sign-in for an audience",
        who=Who.NOBODY,
        path=SIGN_IN,
        headers={"JWT-AUD": "ios"},
        json=_credentials(),
        status=201,
        changes=ONE_SESSION,
        after=_for_audience("ios"),
    ),
    *(
        Scenario(
            name=f"{what} for an audience of 256 characters is 400",
            who=Who.NOBODY,
            path=path,
            headers={"JWT-AUD": "a" * 256},
            json=_credentials(),
            status=400,
            answer=error(400),
        )
        for what, path in (("sign-up", "/api/v1/users"), ("sign-in", SIGN_IN))
    ),
    Scenario(
        name="sign-in by form",
        who=Who.NOBODY,
        path=SIGN_IN,
        form=lambda stage: {"user[email]": stage.driver.email, "user[password]": PASSWORD},
        status=201,
        changes=ONE_SESSION,
        answer=own_account,
    ),
    *(
        Scenario(
            name=f"sign-in with {what} renews its digest",
            who=Who.NOBODY,
            before=_has_moved_in,
            path=SIGN_IN,
            json=_credentials(password=password),
            status=201,
            changes=ONE_SESSION,
            answer=own_account,
            answer_headers=BEARER,
            after=_is_renewed,
        )
        for what, password in (
            ("a password that moved in", _LONG),
            ("one that Devise cut", f"{_LONG}chars after 72 are ignored"),
        )
    ),
    Scenario(
        name="sign-in with another password than the one that moved in",
        who=Who.NOBODY,
        before=_has_moved_in,
        path=SIGN_IN,
        json=_credentials(password=_LONG[:-1]),
        status=401,
        answer=WRONG,
        after=_is_as_it_was,
    ),
    Scenario(
        name="sign-in where no password opens",
        who=Who.NOBODY,
        before=_has_no_digest,
        path=SIGN_IN,
        json=_credentials(),
        status=401,
        answer=WRONG,
    ),
    Scenario(
        name="sign-in with another valid bearer just signs in",
        path=SIGN_IN,
        json=_credentials(),
        status=201,
        changes=ONE_SESSION,
        answer=own_account,
    ),
    *(
        Scenario(
            name=f"sign-in just signs in, though {what} is sent",
            path=SIGN_IN,
            headers=authorization,
            json=_credentials(),
            status=201,
            changes=ONE_SESSION,
            answer=own_account,
        )
        for what, authorization in (
            ("garbage", {"authorization": "Bearer garbage"}),
            ("an expired token", lambda s: _bearer(forge(claims(s.driver.id, exp=1)))),
            ("another scheme", {"authorization": "Basic eDp5"}),
        )
    ),
    *(
        Scenario(
            name=f"sign-in with {what} signs nobody in",
            who=Who.NOBODY,
            path=SIGN_IN,
            json=_credentials(**changes),
            status=401,
            answer=WRONG,
            answer_headers={"authorization": None, "www-authenticate": "Bearer"},
        )
        for what, changes in _WRONG
    ),
    *(
        Scenario(
            name=f"sign-in with {what} is like one without a token",
            who=Who.NOBODY,
            path=SIGN_IN,
            json=body,
            status=401,
            answer=NOT_SIGNED_IN,
        )
        for what, body in (
            ("no user", {}),
            ("a user of null", {"user": None}),
            ("a user of text", {"user": "x"}),
            ("a list as user", {"user": ["x"]}),
            ("un-nested fields", {"email": "a@b.c", "password": PASSWORD}),
        )
    ),
    Scenario(
        name="sign-in without a body is like one without a token",
        who=Who.NOBODY,
        path=SIGN_IN,
        status=401,
        answer=NOT_SIGNED_IN,
    ),
    Scenario(
        name="a sign-in that is no JSON",
        who=Who.NOBODY,
        path=SIGN_IN,
        headers={"content-type": "application/json"},
        body="{",
        status=400,
        answer=error(400),
    ),
    # out
    Scenario(
        name="sign-out revokes the token",
        method="DELETE",
        path=SIGN_OUT,
        status=204,
        changes={"revoked_tokens": 1},
        after=_revoked_until_it_expires,
    ),
    *(
        Scenario(
            name=f"there is nothing to revoke: {what}",
            method="DELETE",
            path=SIGN_OUT,
            headers=authorization,
            status=204,
        )
        for what, authorization in (
            ("an expired token", lambda s: _bearer(forge(claims(s.driver.id, exp=1)))),
            ("another scheme", {"authorization": "Basic eDp5"}),
            ("an empty header", {"authorization": ""}),
        )
    ),
    Scenario(
        name="there is nothing to revoke: no token",
        who=Who.NOBODY,
        method="DELETE",
        path=SIGN_OUT,
        status=204,
    ),
    Scenario(
        name="there is nothing to revoke: a revoked token",
        before=tokens.revoke,
        method="DELETE",
        path=SIGN_OUT,
        status=204,
    ),
    *(
        Scenario(
            name=f"sign-out with a token that does not verify: {reason}",
            method="DELETE",
            path=SIGN_OUT,
            headers=authorization,
            status=401,
            answer={"error": reason},
        )
        for reason, authorization in (
            ("Not enough or too many segments", {"authorization": "Bearer garbage"}),
            ("Invalid segment encoding", {"authorization": "Bearer !.!.!"}),
            (
                "Signature verification failed",
                lambda s: _bearer(forge(claims(s.driver.id), secret="not ours")),
            ),
            (
                "Expected a different algorithm",
                lambda s: _bearer(forge(claims(s.driver.id), header={"alg": "none"})),
            ),
            (
                "Token is missing alg header",
                lambda s: _bearer(forge(claims(s.driver.id), header={})),
            ),
        )
    ),
    Scenario(
        name="sign-out takes no notice of a body",
        method="DELETE",
        path=f"{SIGN_OUT}.json",
        headers={"content-type": "application/json"},
        body="{",
        status=204,
        changes={"revoked_tokens": 1},
    ),
]


def _bearer(token: str) -> dict[str, str | bytes]:
    return {"authorization": f"Bearer {token}"}
