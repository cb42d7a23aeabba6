"""Which tokens open a route, and why the others do not."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.scenario import Scenario, Stage, Who, as_shown
from tests.support.service import OLD_SECRET
from tests.support.tokens import claims, forge, payload_of

HOUR = 3600
NOT_SIGNED_IN = "You need to sign in or sign up before continuing."

Authorization = Callable[[Stage], dict[str, str | bytes]]


def _bearer(token: Callable[[Stage], str]) -> Authorization:
    return lambda stage: {"authorization": f"Bearer {token(stage)}"}


def _claiming(**changes: Any) -> Authorization:
    """A good token, but for some claims; `...` leaves one out."""
    return _bearer(lambda stage: forge(claims(stage.driver.id, **changes)))


def _headed(header: object, **how: Any) -> Authorization:
    """A good token, but for its header."""
    return _bearer(lambda stage: forge(claims(stage.driver.id), header=header, **how))


def _said(value: str) -> Authorization:
    """The whole header, with the good token in place of `TOKEN`."""
    return lambda stage: {"authorization": value.replace("TOKEN", stage.driver.token)}


def _now() -> int:
    return int(time.time())


def _edited(stage: Stage) -> str:
    """Somebody's good token with another subject."""
    header, _, signature = stage.driver.token.split(".")
    payload = forge(claims(stage.driver.id + 1)).split(".")[1]
    return f"{header}.{payload}.{signature}"


def _unsigned(stage: Stage) -> str:
    return forge(claims(stage.driver.id), header={"alg": "none"}).rpartition(".")[0] + "."


def _without_signature(stage: Stage) -> str:
    return stage.driver.token.rpartition(".")[0] + "."


def revoke(stage: Stage) -> None:
    _insert_revoked(stage, datetime.now(UTC) + timedelta(days=30))


def revoke_for_ever(stage: Stage) -> None:
    _insert_revoked(stage, None)


def _insert_revoked(stage: Stage, expires_at: datetime | None) -> None:
    jti = payload_of(stage.driver.token)["jti"]
    table = stage.tables["revoked_tokens"]
    stage.tables.execute(table.insert().values(jti=jti, expires_at=expires_at))


_REFUSED: list[tuple[str, Authorization, str]] = [
    # no bearer token
    ("no header", lambda _: {}, NOT_SIGNED_IN),
    ("an empty header", _said(""), NOT_SIGNED_IN),
    ("another scheme", _said("Basic ZHJpdmVyOnBhc3N3b3Jk"), NOT_SIGNED_IN),
    ("a token without its scheme", _said("TOKEN"), NOT_SIGNED_IN),
    ("a scheme without a token", _said("Bearer"), NOT_SIGNED_IN),
    ("a scheme and spaces", _said("Bearer   "), NOT_SIGNED_IN),
    ("a scheme that only begins so", _said("BearerTOKEN"), NOT_SIGNED_IN),
    ("a token in another scheme", _said("Token TOKEN"), NOT_SIGNED_IN),
    # expiry
    ("a token that expired an hour ago", _claiming(exp=_now() - HOUR), "Signature has expired"),
    ("one that expired in 1970", _claiming(exp=1), "Signature has expired"),
    ("an expiry with a fraction", _claiming(exp=_now() - 0.5), "Signature has expired"),
    ("a negative expiry", _claiming(exp=-1), "Signature has expired"),
    # signature
    (
        "another secret",
        _bearer(lambda stage: forge(claims(stage.driver.id), secret="not ours")),
        "Signature verification failed",
    ),
    ("an edited payload", _bearer(_edited), "Signature verification failed"),
    ("no signature", _bearer(_without_signature), "Signature verification failed"),
    ("a signature of another length", _said("Bearer TOKENAAAA"), "Signature verification failed"),
    (
        "an expired token of another secret: the signature is judged first",
        _bearer(lambda stage: forge(claims(stage.driver.id, exp=1), secret="not ours")),
        "Signature verification failed",
    ),
    # segments
    ("one segment", _said("Bearer garbage"), "Not enough or too many segments"),
    ("two segments", _said("Bearer aaaa.bbbb"), "Not enough or too many segments"),
    ("four segments", _said("Bearer TOKEN.aaaa"), "Not enough or too many segments"),
    # encoding
    ("a header that is no base64", _said("Bearer !!!!.e30.e30"), "Invalid segment encoding"),
    ("a header that is no JSON", _headed(b"not json"), "Invalid segment encoding"),
    (
        "a payload that is no JSON",
        _bearer(lambda _: forge(b"not json")),
        "Invalid segment encoding",
    ),
    (
        "a payload that is no UTF-8",
        _bearer(lambda _: forge(b'{"sub":"\xff"}')),
        "Invalid segment encoding",
    ),
    # algorithm
    ("no algorithm", _bearer(_unsigned), "Expected a different algorithm"),
    ("HS512", _headed({"alg": "HS512"}, digest="sha512"), "Expected a different algorithm"),
    ("RS256", _headed({"alg": "RS256"}), "Expected a different algorithm"),
    ("another case", _headed({"alg": "hs256"}), "Expected a different algorithm"),
    ("a header without alg", _headed({"typ": "JWT"}), "Token is missing alg header"),
    ("an empty header object", _headed({}), "Token is missing alg header"),
    # not before
    ("a token for later", _claiming(nbf=_now() + HOUR), "Signature nbf has not been reached"),
    # user
    ("a user who is not there", _claiming(sub="999999999"), "nil user"),
    ("a user of nonsense", _claiming(sub="driver"), "nil user"),
    ("a user of more digits than ids have", _claiming(sub="9" * 40), "nil user"),
    ("a user below nought", _claiming(sub="-1"), "nil user"),
    ("no subject", _claiming(sub=...), "nil user"),
    ("a subject of null", _claiming(sub=None), "nil user"),
    # scope
    ("a token of staff", _claiming(scp="staff"), "wrong scope"),
    ("no scope", _claiming(scp=...), "wrong scope"),
    ("a scope of null", _claiming(scp=None), "wrong scope"),
    ("a list of scopes", _claiming(scp=["user"]), "wrong scope"),
    # audience
    ("a token for an audience, sent without", _claiming(aud="web"), "wrong aud"),
    (
        "a token for no audience, sent with one",
        lambda stage: {**stage.driver.signed, "jwt-aud": "web"},
        "wrong aud",
    ),
    (
        "a token for another audience",
        lambda stage: {**_claiming(aud="web")(stage), "jwt-aud": "app"},
        "wrong aud",
    ),
    # jti
    ("no jti", _claiming(jti=...), "Missing jti"),
    ("a jti of null", _claiming(jti=None), "Missing jti"),
    ("an empty jti", _claiming(jti=""), "Missing jti"),
]

_TAKEN: list[tuple[str, Authorization]] = [
    ("the token of a sign-in", _said("Bearer TOKEN")),
    ("a token made by hand", _claiming()),
    ("`bearer`", _said("bearer TOKEN")),
    ("`BEARER`", _said("BEARER TOKEN")),
    ("spaces after `Bearer`", _said("Bearer    TOKEN")),
    ("spaces after the token", _said("Bearer TOKEN   ")),
    ("`typ` in the header", _headed({"typ": "JWT", "alg": "HS256"})),
    ("`typ` after `alg`", _headed({"alg": "HS256", "typ": "JWT"})),
    ("an `iat` in the future", _claiming(iat=_now() + HOUR)),
    ("an `nbf` that is past", _claiming(nbf=_now() - HOUR)),
    ("an expiry with a fraction", _claiming(exp=_now() + HOUR + 0.25)),
    ("an expiry far away", _claiming(exp=1e12)),
    ("claims of its own", _claiming(iss="elsewhere", extra={"a": [1]})),
    (
        "the secret before this one",
        _bearer(lambda stage: forge(claims(stage.driver.id), secret=OLD_SECRET)),
    ),
    ("its audience", lambda stage: {**_claiming(aud="web")(stage), "JWT-AUD": "web"}),
]

SCENARIOS = [
    *(
        Scenario(
            name=f"a profile is not shown to {what} ({reason})",
            who=Who.REGISTERED,
            signed=False,
            method="GET",
            headers=authorization,
            status=401,
            answer={"error": reason},
            answer_headers={"www-authenticate": "Bearer"},
        )
        for what, authorization, reason in _REFUSED
    ),
    *(
        Scenario(
            name=f"a profile is shown to {what}",
            who=Who.REGISTERED,
            signed=False,
            method="GET",
            headers=authorization,
            answer=as_shown(),
        )
        for what, authorization in _TAKEN
    ),
    *(
        Scenario(
            name=f"a token revoked {when} opens nothing to {method}",
            who=Who.REGISTERED,
            before=before,
            method=method,
            status=401,
            answer={"error": "revoked token"},
        )
        for when, before in (("until it expires", revoke), ("for ever", revoke_for_ever))
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE")
    ),
]
