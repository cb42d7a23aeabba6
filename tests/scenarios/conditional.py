"""Conditional requests (RFC 9110, 13): GET and HEAD of what the client has already."""

from collections.abc import Callable

from tests.support.scenario import Scenario, Stage, Who, as_shown, error

OTHER = '"00000000000000000000000000000000"'


def _tag(shape: str) -> Callable[[Stage], dict[str, str | bytes]]:
    """`If-None-Match` with `{weak}` and `{strong}` forms of the current tag in `shape`."""

    def headers(stage: Stage) -> dict[str, str | bytes]:
        weak = stage.etag
        return {"if-none-match": shape.format(weak=weak, strong=weak.removeprefix("W/"))}

    return headers


def _lines(*shapes: str) -> Callable[[Stage], list[tuple[str, str | bytes]]]:
    """Several lines of `If-None-Match`."""

    def headers(stage: Stage) -> list[tuple[str, str | bytes]]:
        return [("If-None-Match", value) for s in shapes for value in _tag(s)(stage).values()]

    return headers


_MATCHING = [
    ("the tag", "{weak}"),
    ("the strong form: comparison is weak", "{strong}"),
    ("a star", "*"),
    ("a star among spaces", "  *  "),
    ("a list that begins with it", f"{{weak}}, {OTHER}"),
    ("a list that ends with it", f"{OTHER}, W/{OTHER}, {{weak}}"),
    ("a list without spaces", f"{OTHER},{{strong}}"),
    ("a list with tabs and empty members", f",\t{OTHER} ,,\t{{weak}}\t,"),
    ("a list with a tag that holds a comma", '"a,b", {weak}'),
]
_NOT_MATCHING = [
    ("another tag", OTHER),
    ("another weak tag", f"W/{OTHER}"),
    ("a list of others", f"{OTHER}, W/{OTHER}"),
    ("nothing", ""),
    ("a star in quotes", '"*"'),
    ("the tag inside another", "x{weak}"),
]

SCENARIOS = [
    *(
        Scenario(
            name=f"If-None-Match of {what} is 304 to {method}",
            who=Who.REGISTERED,
            method=method,
            headers=_tag(shape),
            status=304,
            answer_headers=lambda stage: {"etag": stage.etag, "content-length": None},
        )
        for method in ("GET", "HEAD")
        for what, shape in _MATCHING
    ),
    *(
        Scenario(
            name=f"If-None-Match of {what} is 200",
            who=Who.REGISTERED,
            method="GET",
            headers=_tag(shape),
            answer=as_shown(),
        )
        for what, shape in _NOT_MATCHING
    ),
    Scenario(
        name="If-None-Match in two lines is one list",
        who=Who.REGISTERED,
        method="GET",
        headers=_lines("{weak}", OTHER),
        status=304,
    ),
    Scenario(
        name="If-None-Match in two lines, the other way round",
        who=Who.REGISTERED,
        method="GET",
        headers=_lines(OTHER, "{weak}"),
        status=304,
    ),
    Scenario(
        name="before there is a profile a star matches nothing",
        method="GET",
        headers={"if-none-match": "*"},
        status=404,
        answer=error(404),
    ),
    Scenario(
        name="a 401 comes before a 304",
        who=Who.NOBODY,
        method="GET",
        headers={"if-none-match": "*"},
        status=401,
    ),
    Scenario(
        name="PATCH takes no notice of If-None-Match",
        who=Who.REGISTERED,
        method="PATCH",
        headers={"if-none-match": "*"},
        json={"profile": {"postcode": "123"}},
        answer=as_shown(),
    ),
    Scenario(
        name="PATCH takes no notice of If-Match",
        who=Who.REGISTERED,
        method="PATCH",
        headers={"if-match": OTHER},
        json={"profile": {"postcode": "AB1"}},
        answer=as_shown(postcode="AB1"),
        changes={"profile_versions": 1},
    ),
    Scenario(
        name="GET takes no notice of If-Match",
        who=Who.REGISTERED,
        method="GET",
        headers={"if-match": OTHER},
        answer=as_shown(),
    ),
    Scenario(
        name="GET takes no notice of If-Modified-Since: nothing is said of when",
        who=Who.REGISTERED,
        method="GET",
        headers={"if-modified-since": "Fri, 31 Dec 2199 23:59:59 GMT"},
        answer=as_shown(),
        answer_headers={"last-modified": None},
    ),
]
