"""Signing up and in. What needs more than one request is in test_accounts.py."""

from typing import Any

from tests.scenarios.scenario import Scenario, each

USERS = "/api/v1/users"
SIGN_IN = "/api/v1/users/sign_in"
PASSWORD = "correct horse"
BLANK = ["can't be blank"]
INVALID = ["is invalid"]
NOT_SIGNED_IN = {"error": "You need to sign in or sign up before continuing."}
WRONG = {"error": "Invalid Email or password."}


def _sign_up(
    name: str, status: int, errors: Any = None, shows: Any = None, **user: Any
) -> Scenario:
    given = {"password": PASSWORD, **user}
    return Scenario(
        f"sign up: {name}",
        status,
        "POST",
        path=USERS,
        signed_in=False,
        json={"user": given},
        errors=errors,
        shows=shows or {},
    )


SCENARIOS = [
    *(
        _sign_up(
            f"the address {sent!r}", 201, email=sent, shows={"email": kept, "phone_number": None}
        )
        for sent, kept in (
            (".+one@example.com", ".+one@example.com"),
            ("  Outer.Spaces@Example.COM ", "outer.spaces@example.com"),
            ("no-dot@localhost", "no-dot@localhost"),
            ("zoë@exämple.com", "zoë@exämple.com"),
            ("a" * 240 + "@b", "a" * 240 + "@b"),
        )
    ),
    _sign_up(
        "with a phone number",
        201,
        email="phone@example.com",
        phone_number="07856 207372",
        shows={"phone_number": "07856 207372"},
    ),
    _sign_up(
        "with a number for a phone number",
        201,
        email="phone2@example.com",
        phone_number=7856,
        shows={"phone_number": "7856"},
    ),
    _sign_up("confirmed", 201, email="confirmed@example.com", password_confirmation=PASSWORD),
    _sign_up("a password of 8", 201, email="eight@example.com", password="12345678"),
    _sign_up("a password of 128", 201, email="long@example.com", password="x" * 128),
    _sign_up("a password of accents", 201, email="accents@example.com", password="pässwörd"),
    *(
        _sign_up(f"no address {sent!r}", 422, errors={"email": INVALID}, email=sent)
        for sent in each("x", "a@b@c", "a b@c", "@", "a@", "@b", True, "a\0@b")
    ),
    *(
        _sign_up(f"a blank address {sent!r}", 422, errors={"email": BLANK}, email=sent)
        for sent in each("", "  ", None, [], {"a": 1})
    ),
    _sign_up(
        "too long an address",
        422,
        errors={"email": ["is too long (maximum is 255 characters)"]},
        email="a" * 255 + "@b",
    ),
    _sign_up(
        "a short password",
        422,
        email="a@b",
        password="1234567",
        errors={"password": ["is too short (minimum is 8 characters)"]},
    ),
    _sign_up(
        "a long password",
        422,
        email="a@b",
        password="x" * 129,
        errors={"password": ["is too long (maximum is 128 characters)"]},
    ),
    _sign_up("a blank password", 422, email="a@b", password=" " * 9, errors={"password": BLANK}),
    _sign_up("no password", 422, email="a@b", password=None, errors={"password": BLANK}),
    *(
        _sign_up(
            f"confirmed by {sent!r}",
            422,
            email="a@b",
            password_confirmation=sent,
            errors={"password_confirmation": ["doesn't match Password"]},
        )
        for sent in each("other", "")
    ),
    _sign_up(
        "everything wrong",
        422,
        email="x",
        password="x",
        password_confirmation="y",
        phone_number="x" * 256,
        errors={
            "email": INVALID,
            "password": ["is too short (minimum is 8 characters)"],
            "password_confirmation": ["doesn't match Password"],
            "phone_number": ["is too long (maximum is 255 characters)"],
        },
    ),
    _sign_up("a taken address", 422, email="{email}", errors={"email": ["has already been taken"]}),
    *(
        Scenario(
            f"sign up with {body!r}",
            422,
            "POST",
            path=USERS,
            signed_in=False,
            json=body,
            errors={"email": BLANK, "password": BLANK},
        )
        for body in each(
            {},
            {"user": {}},
            {"user": None},
            {"user": "x"},
            {"email": "a@b", "password": PASSWORD},
            [],
        )
    ),
    Scenario(
        "sign up with nothing",
        422,
        "POST",
        path=USERS,
        signed_in=False,
        errors={"email": BLANK, "password": BLANK},
    ),
    Scenario(
        "sign up with broken JSON",
        400,
        "POST",
        path=USERS,
        signed_in=False,
        body="{",
        type="application/json",
    ),
    Scenario(
        "sign up by form",
        201,
        "POST",
        path=USERS,
        signed_in=False,
        body="user[email]=form@example.com&user[password]=correct+horse",
        type="application/x-www-form-urlencoded",
        shows={"email": "form@example.com"},
    ),
    *(
        Scenario(
            f"sign in with {body!r}",
            401,
            "POST",
            path=SIGN_IN,
            signed_in=False,
            json=body,
            answer=NOT_SIGNED_IN,
            sends={"www-authenticate": "Bearer"},
        )
        for body in each({}, {"user": "x"}, {"email": "a@b", "password": PASSWORD}, [])
    ),
    Scenario(
        "sign in with nothing", 401, "POST", path=SIGN_IN, signed_in=False, answer=NOT_SIGNED_IN
    ),
    *(
        Scenario(
            f"sign in as {user!r}",
            401,
            "POST",
            path=SIGN_IN,
            signed_in=False,
            json={"user": user},
            answer=WRONG,
            sends={"www-authenticate": "Bearer", "authorization": None},
        )
        for user in (
            {"email": "nobody@example.com", "password": PASSWORD},
            {"email": "nobody@example.com"},
            {"password": PASSWORD},
            {"email": ["a@b"], "password": PASSWORD},
            {"email": "a@b", "password": {"a": 1}},
            {"email": "a\0@b", "password": PASSWORD},
            {"email": "a@b", "password": "x" * 10_000},
            {"email": True, "password": True},
        )
    ),
    Scenario(
        "sign in with broken JSON",
        400,
        "POST",
        path=SIGN_IN,
        signed_in=False,
        body="{",
        type="application/json",
    ),
    Scenario(
        "sign in with a surrogate",
        401,
        "POST",
        path=SIGN_IN,
        signed_in=False,
        body='{"user":{"email":"\\ud800@b","password":"x"}}',
        type="application/json",
        answer=WRONG,
    ),
]
