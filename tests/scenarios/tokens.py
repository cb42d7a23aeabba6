"""Which tokens open what, and why the others do not."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from tests.scenarios.scenario import Scenario, each
from tests.support.service import SECRET, VALID, Driver, Service

NOT_SIGNED_IN = "You need to sign in or sign up before continuing."
SIGN_OUT = "/api/v1/users/sign_out"


def forge(
    payload: Any, header: Any = None, secret: str = SECRET, raw_payload: bytes | None = None
) -> str:
    """A token made by hand, right or wrong."""

    def segment(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    head = segment(json.dumps({"alg": "HS256"} if header is None else header).encode())
    body = segment(json.dumps(payload).encode() if raw_payload is None else raw_payload)
    signature = hmac.new(secret.encode(), head + b"." + body, hashlib.sha256).digest()
    return b".".join([head, body, segment(signature)]).decode()


def bearer(
    header: Any = None, secret: str = SECRET, without: str = "", **claims: Any
) -> Callable[[Service, Driver], str]:
    """The header of a token that is right but for what is given."""

    def made(_: Service, driver: Driver) -> str:
        now = int(time.time())
        payload = {
            "sub": str(driver.id),
            "scp": "user",
            "aud": None,
            "iat": now,
            "exp": now + 2592000,
            "jti": f"jti-{driver.id}",
            **claims,
        }
        payload.pop(without, None)
        return f"Bearer {forge(payload, header, secret)}"

    return made


def changed(change: Callable[[str], str]) -> Callable[[Service, Driver], str]:
    """The header of the driver's own token, changed."""
    return lambda _, driver: f"Bearer {change(driver.token)}"


def _with_another_payload(token: str) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{forge({'sub': '1'}).split('.')[1]}.{signature}"


def revoked(service: Service, driver: Driver) -> str:
    with service.client() as client:
        assert client.delete(SIGN_OUT, headers=driver.headers).status_code == 204
    return f"Bearer {driver.token}"


def _refused(name: str, reason: str, authorization: Any, **more: Any) -> Scenario:
    headers = {"Authorization": authorization, **more.pop("headers", {})}
    return Scenario(
        f"refused: {name}",
        401,
        profile=VALID,
        signed_in=False,
        headers=headers,
        answer={"error": reason},
        sends={"www-authenticate": "Bearer"},
        **more,
    )


def _taken(name: str, authorization: Any, **headers: str) -> Scenario:
    return Scenario(
        f"taken: {name}",
        200,
        profile=VALID,
        signed_in=False,
        headers={"Authorization": authorization, **headers},
        shows=VALID,
    )


NOW = int(time.time())

SCENARIOS = [
    Scenario(
        "none",
        401,
        signed_in=False,
        answer={"error": NOT_SIGNED_IN},
        sends={"www-authenticate": "Bearer"},
    ),
    *(
        _refused(f"the header {sent!r}", NOT_SIGNED_IN, sent)
        for sent in ("", "Bearer", "Basic dTpw", "Token x")
    ),
    Scenario(
        "a token in the query",
        401,
        path="/api/v1/users/profile?token=x",
        signed_in=False,
        answer={"error": NOT_SIGNED_IN},
    ),
    _refused("expired", "Signature has expired", bearer(exp=NOW - 1)),
    _refused("expired, as a fraction", "Signature has expired", bearer(exp=NOW - 0.5)),
    _refused("another secret", "Signature verification failed", bearer(secret="another")),
    _refused(
        "an edited payload",
        "Signature verification failed",
        changed(_with_another_payload),
    ),
    _refused(
        "two segments", "Not enough or too many segments", changed(lambda t: t.rpartition(".")[0])
    ),
    _refused("four segments", "Not enough or too many segments", changed(lambda t: t + ".x")),
    _refused("one word", "Not enough or too many segments", "Bearer x"),
    _refused("a header that is not base64", "Invalid segment encoding", changed(lambda t: "!" + t)),
    _refused("a header that is not JSON", "Invalid segment encoding", "Bearer eHh4.eHh4.eHh4"),
    _refused(
        "a signature that is not base64", "Invalid segment encoding", changed(lambda t: t + "!")
    ),
    _refused(
        "a signed payload that is not JSON",
        "Invalid segment encoding",
        f"Bearer {forge(None, raw_payload=b'{')}",
    ),
    _refused("a signed payload that is a list", "Invalid segment encoding", f"Bearer {forge([])}"),
    _refused("no algorithm", "Token is missing alg header", bearer(header={"typ": "JWT"})),
    _refused("alg none", "Expected a different algorithm", bearer(header={"alg": "none"})),
    _refused("HS512", "Expected a different algorithm", bearer(header={"alg": "HS512"})),
    _refused("RS256", "Expected a different algorithm", bearer(header={"alg": "RS256"})),
    _refused("not yet", "Signature nbf has not been reached", bearer(nbf=NOW + 3600)),
    _refused("signed out", "revoked token", revoked),
    _refused("nobody's", "nil user", bearer(sub="999999999")),
    *(
        _refused(f"the subject {sub!r}", "nil user", bearer(sub=sub))
        for sub in each(None, "x", "-1", "1.5", "9" * 30, "", [], "\u0661")
    ),
    _refused("another scope", "wrong scope", bearer(scp="staff")),
    _refused("no scope", "wrong scope", bearer(without="scp")),
    _refused("an audience that is not sent", "wrong aud", bearer(aud="phone")),
    _refused("another audience", "wrong aud", bearer(aud="phone"), headers={"JWT-AUD": "web"}),
    _refused("an audience it does not have", "wrong aud", bearer(), headers={"JWT-AUD": "web"}),
    _refused("no jti", "Missing jti", bearer(without="jti")),
    _refused("a blank jti", "Missing jti", bearer(jti=" ")),
    _refused(
        "expired before its jti is missed", "Signature has expired", bearer(exp=1, without="jti")
    ),
    _taken("with typ", bearer(header={"typ": "JWT", "alg": "HS256"})),
    _taken("the other secret of a rotation", bearer(secret="an older secret")),
    _taken("issued in the future", bearer(iat=NOW + 9999)),
    _taken("an expiry that is a fraction", bearer(exp=NOW + 99.5)),
    _taken("never expiring", bearer(without="exp")),
    _taken("its audience", bearer(aud="phone"), **{"JWT-AUD": "phone"}),
    _taken("extra spaces", lambda _, d: f"Bearer    {d.token}"),
    _taken("a small b", lambda _, d: f"bearer {d.token}"),
    _taken("capitals", lambda _, d: f"BEARER {d.token}"),
    # Signing out
    Scenario("sign out", 204, "DELETE", path=SIGN_OUT),
    Scenario("sign out without a token", 204, "DELETE", path=SIGN_OUT, signed_in=False),
    Scenario(
        "sign out again",
        204,
        "DELETE",
        path=SIGN_OUT,
        signed_in=False,
        headers={"Authorization": revoked},
    ),
    Scenario(
        "sign out with an expired token",
        204,
        "DELETE",
        path=SIGN_OUT,
        signed_in=False,
        headers={"Authorization": bearer(exp=NOW - 1)},
    ),
    Scenario(
        "sign out with a forged token",
        401,
        "DELETE",
        path=SIGN_OUT,
        signed_in=False,
        headers={"Authorization": bearer(secret="another")},
        answer={"error": "Signature verification failed"},
    ),
    Scenario(
        "sign out with garbage",
        401,
        "DELETE",
        path=SIGN_OUT,
        signed_in=False,
        headers={"Authorization": "Bearer garbage"},
        answer={"error": "Not enough or too many segments"},
    ),
]
