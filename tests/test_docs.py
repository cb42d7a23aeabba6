"""Every command in the README and in `docs/` does what the page says.

Blocks marked `sh` are run, in order, in one shell a page, beside a service of the page's own. A
block of another kind right after one is what it prints, `…` standing for anything.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from roadworthy.settings import show_settings
from tests.conftest import Place
from tests.support.service import Service, environment

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])

RUN_ELSEWHERE = {
    "make test": "is what runs this",
    "make lint": "has just been run by `make test`",
    "make bench": "takes minutes, and would measure the tests that run beside it",
    "make bench ARGS='--quick --scenario slow-disk --scenario start --database sqlite'": "the same",
}

_FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```\n", re.MULTILINE | re.DOTALL)
_SERVES = re.compile(r"^(make (?:run|demo)|roadworthy serve\b.*)$", re.MULTILINE)
_ANYTHING = "…"

_PRELUDE = """set -euo pipefail
serve_until_ready() {
    "$@" >served.out 2>served.err &
    local pid=$!
    for _ in $(seq 300); do
        if grep -q '^Roadworthy is ready at' served.out; then
            kill -TERM $pid
            wait $pid || true
            return
        fi
        sleep 0.1
    done
    cat served.err
    exit 1
}
"""


@dataclass(frozen=True)
class Block:
    """Commands, and what the page says they print."""

    line: int
    commands: str
    printed: str | None

    @property
    def runs_here(self) -> bool:
        return self.commands.strip() not in RUN_ELSEWHERE


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    fences = list(_FENCE.finditer(text))
    for fence, following in zip(fences, [*fences, None][1:], strict=True):
        if fence["kind"] == "sh":
            shown = following and following["kind"] in {"json", "text"}
            yield Block(
                text.count("\n", 0, fence.start()) + 1,
                fence["text"],
                following["text"] if following and shown else None,
            )


_PAGES_WITH_COMMANDS = [page for page in PAGES if any(block.runs_here for block in _blocks(page))]


@pytest.mark.parametrize("page", _PAGES_WITH_COMMANDS, ids=lambda page: page.name)
def test_commands_do_what_the_page_says(
    page: Path,
    new_database: Callable[[str], Place],
    start: Callable[..., Service],
    tmp_path: Path,
) -> None:
    service = start(tmp_path, {"ROADWORTHY_DATA_DIR": str(tmp_path / "data")})
    blocks = [block for block in _blocks(page) if block.runs_here]
    places = {
        "http://127.0.0.1:8000": service.url,
        "/srv/": f"{tmp_path}/",
        "var/tombstones": f"{tmp_path}/data/tombstones",
        "postgresql://roadworthy:secret@127.0.0.1/roadworthy": new_database("postgresql").url,
    }
    script = "".join(
        f"{{\n{_runnable(block.commands, places)}\n}} >{tmp_path}/{number} 2>&1\n"
        for number, block in enumerate(blocks)
    )
    settings = {
        "ROADWORTHY_DATA_DIR": str(tmp_path / "data"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    shell = subprocess.run(
        ["/bin/bash", "-c", _PRELUDE.replace("served", f"{tmp_path}/served") + script],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    for number, block in enumerate(blocks):
        file = tmp_path / str(number)
        printed = file.read_text() if file.exists() else "(it did not come to that)"
        where = f"{page.name}:{block.line}\n{block.commands}"
        is_last = not (tmp_path / str(number + 1)).exists()
        assert shell.returncode == 0 or not is_last, f"{where}fails:\n{printed}{shell.stderr}"
        if block.printed is not None:
            assert _matches(printed, block.printed, places), (
                f"{where}prints:\n{printed}\nthe page says:\n{block.printed}"
            )


def _runnable(commands: str, places: dict[str, str]) -> str:
    """The commands with the test's own ports; one that serves is stopped when it is ready."""
    for documented, real in places.items():
        commands = commands.replace(documented, real)

    def serve(match: re.Match[str]) -> str:
        port = "'ARGS=--port 0'" if match[1].startswith("make") else "--port 0"
        return f"serve_until_ready {match[1]} {port}"

    return _SERVES.sub(serve, commands)


def _matches(printed: str, shown: str, places: dict[str, str]) -> bool:
    for documented, real in places.items():
        shown = shown.replace(documented, real)
    parts = re.split(rf" ?{_ANYTHING} ?", shown.strip())
    pattern = ".*".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, printed.replace("\r", "").strip(), re.DOTALL) is not None


def test_the_settings_table_is_what_config_shows() -> None:
    page = (ROOT / "docs" / "operators.md").read_text()
    rows = re.findall(r"^\| `(ROADWORTHY_\w+)` \|.*?\| (.*) \|$", page, re.MULTILINE)
    said = {name: meaning.replace("`", "") for name, meaning in rows}
    shown = {option.name: option.meaning.replace("`", "") for option in show_settings({})}
    url = shown.pop("ROADWORTHY_DATABASE_URL")

    assert url.startswith("postgresql://")
    assert said.pop("ROADWORTHY_DATABASE_URL").startswith("postgresql://")
    assert said == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}"
        headings = {
            re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
            for line in file.read_text().splitlines()
            if line.startswith("#")
        }
        assert not heading or heading in headings, f"{page.name} links to {target}: {headings}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make (\w+)", page.read_text(), re.MULTILINE))

    assert named <= targets
