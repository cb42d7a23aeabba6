"""Which paths and methods reach which route."""

from tests.support.drivers import FIELDS, PROFILE_PATH
from tests.support.scenario import Scenario, Who, as_shown, error

_SAME = [
    f"{PROFILE_PATH}.json",
    f"{PROFILE_PATH}?format=json",
    f"{PROFILE_PATH}/",
    f"{PROFILE_PATH}//",
    "//api/v1/users/profile",
    "/api//v1///users/profile",
    f"{PROFILE_PATH}/?",
    f"{PROFILE_PATH}?unknown=1&profile[first_name]=Other",
]
_UNKNOWN = [
    "/api",
    "/api/v1/users/profiles",
    "/api/v1/users/profile/1",
    "/api/v1/users/sessions/1/2",
    "/api/v1/users/Profile",
    "/API/v1/users/profile",
    "/api/v2/users/profile",
    "/api/v1/users/profile.xml",
    "/api/v1/users/profile.json.json",
    "/api/v1/users/../users/profile",
    "/rails/active_storage/nothing",
    "/api/v1/users/%00",
    "/api/v1/users/%ff%fe",
    "/api/v1/users/" + "x" * 2000,
]
_METHODS = [
    (PROFILE_PATH, "OPTIONS", {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"}),
    (PROFILE_PATH, "TRACE", {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"}),
    (PROFILE_PATH, "BREW", {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"}),
    (f"{PROFILE_PATH}.json", "OPTIONS", {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"}),
    ("/api/v1/users", "BREW", {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"}),
    ("/api/v1/users/sessions", "POST", {"GET", "HEAD"}),
    ("/api/v1/users/sessions/1", "GET", {"DELETE"}),
    ("/api/v1/users/sessions/{id}", "GET", {"DELETE"}),
    ("/api/v1/users/password", "GET", {"POST", "PATCH", "PUT"}),
    ("/api/v1/users/sign_in", "GET", {"POST"}),
    ("/api/v1/users/sign_in", "DELETE", {"POST"}),
    ("/api/v1/users/sign_out", "POST", {"DELETE"}),
    ("/api/v1/users/sign_out", "GET", {"DELETE"}),
    ("/up", "POST", {"GET", "HEAD"}),
    ("/up", "DELETE", {"GET", "HEAD"}),
]
_ACCEPTED = ["text/html", "application/xml", "*/*", "nonsense", "", "application/json;q=0"]

SCENARIOS = [
    *(
        Scenario(
            name=f"{path} is the profile",
            who=Who.REGISTERED,
            method="GET",
            path=path,
            answer=as_shown(),
        )
        for path in _SAME
    ),
    *(
        Scenario(
            name=f"POST {path} creates the profile",
            path=path,
            json={"profile": FIELDS},
            answer=as_shown(),
            changes={"profiles": 1},
        )
        for path in _SAME[:-1]
    ),
    *(
        Scenario(
            name=f"{path[:60]} is no route of ours",
            who=Who.REGISTERED,
            method="GET",
            path=path,
            status=404,
            answer=error(404),
        )
        for path in _UNKNOWN
    ),
    *(
        Scenario(
            name=f"{method} {path} is not allowed",
            who=Who.NOBODY,
            method=method,
            path=path,
            status=405,
            answer=error(405),
            answer_headers={"allow": allowed},
        )
        for path, method, allowed in _METHODS
    ),
    *(
        Scenario(
            name=f"an error is JSON, though {accept or 'nothing'} is accepted, at {path}",
            who=Who.NOBODY,
            method="GET",
            path=path,
            headers={"accept": accept},
            status=status,
        )
        for accept in _ACCEPTED
        for path, status in ((PROFILE_PATH, 401), ("/api/v1/nothing", 404), ("/rails/nothing", 404))
    ),
    *(
        Scenario(
            name=f"the profile is JSON, though {accept or 'nothing'} is accepted",
            who=Who.REGISTERED,
            method="GET",
            headers={"accept": accept},
            answer=as_shown(),
        )
        for accept in _ACCEPTED
    ),
    Scenario(
        name="X-HTTP-Method-Override is not looked at",
        who=Who.REGISTERED,
        method="GET",
        headers={"x-http-method-override": "DELETE"},
        answer=as_shown(),
    ),
    Scenario(
        name="nor on a POST, nor a _method parameter",
        headers={"x-http-method-override": "DELETE"},
        json={"_method": "DELETE", "profile": FIELDS},
        answer=as_shown(),
        changes={"profiles": 1},
    ),
    Scenario(
        name="a method's name is case-sensitive",
        who=Who.REGISTERED,
        method="delete",
        status=405,
        answer=error(405),
    ),
]
