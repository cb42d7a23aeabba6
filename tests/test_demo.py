"""`roadworthy demo` shows a registration as curl that can be pasted, and goes on serving."""

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.service import Service

_SHOWN = re.compile(
    r"^# (?P<title>.+)\n(?P<curl>curl .*(?:\\\n.*)*)\n(?P<answer>HTTP/1\.1 (?P<status>\d+)[^\0]*?)"
    r"\n\n(?P<body>\{.*\})$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Step:
    title: str
    curl: str
    status: str
    body: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # It minds no setting of the environment: the folder is its own.
    settings = {"ROADWORTHY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    service = Service(tmp_path_factory.mktemp("demo"), settings, command="demo")
    yield service
    if service.process.poll() is None:
        service.stop()


@pytest.fixture(scope="module")
def steps(demo: Service) -> list[Step]:
    until = time.monotonic() + 30
    while "Ctrl-C" not in demo.output and time.monotonic() < until:
        time.sleep(0.02)
    return [
        Step(found["title"], found["curl"], found["status"], found["body"])
        for found in _SHOWN.finditer(demo.output)
    ]


def paste(command: str) -> tuple[str, str]:
    """The status and the body that a shell shows."""
    pasted = subprocess.run(  # noqa: S602 -- pasted as a reader would
        command, shell=True, capture_output=True, text=True, timeout=30, check=True
    )
    head, _, body = pasted.stdout.partition("\n\n")
    return head.split()[1], body


def test_it_signs_a_driver_up_and_registers_them(steps: list[Step], demo: Service) -> None:
    assert [step.status for step in steps] == ["201", "200", "200"], demo.output
    assert [" POST " in step.curl for step in steps] == [True, True, False]
    assert "/api/v1/users/profile" in steps[1].curl
    assert '"first_name":"Virgie"' in steps[1].body
    assert steps[2].body == steps[1].body


def test_every_request_shown_can_be_pasted(steps: list[Step]) -> None:
    """Pasted once more, the first two find what they did the first time."""
    answers = [paste(step.curl) for step in steps]

    assert answers == [
        ("422", '{"errors":{"email":["has already been taken"]}}'),
        ("422", '{"errors":{"user":["has already been taken"]}}'),
        ("200", steps[2].body),
    ]


def test_it_can_be_pasted_for_another_driver(steps: list[Step]) -> None:
    another = steps[0].curl.replace("driver@example.com", "another@example.com")

    status, body = paste(another)

    assert status == "201", body
    assert '"email":"another@example.com"' in body


def test_it_leaves_nothing_behind(demo: Service) -> None:
    (folder,) = re.findall(r"(/\S*roadworthy-demo-\w+)", demo.output)
    assert Path(folder).is_dir()

    assert demo.stop() == 0, demo.errors
    assert not Path(folder).exists()
    assert demo.errors == ""
