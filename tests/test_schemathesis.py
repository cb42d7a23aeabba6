"""schemathesis reads the API document and tries to prove it, and us, wrong. Every check is on."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import SOAK, Running
from tests.support.service import environment

ROOT = Path(__file__).parents[1]


def test_schemathesis_finds_nothing(service: Running, tmp_path: Path, kind: str) -> None:
    phases = ["examples", "fuzzing", "stateful"]
    if SOAK or kind == "sqlite":
        phases.append("coverage")  # each rule of the document broken: no database knows them
    # A PUT is a PATCH here; that it is, other tests show.
    left_out = [] if SOAK else ["--exclude-method", "PUT"]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
            *("--checks", "all", "--max-examples", "1000" if SOAK else "8", "--no-color"),
            *("--phases", ",".join(phases), *left_out),
        ],
        env={
            **environment({}),
            "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
            "PYTHONPATH": str(ROOT),
            "TESTED_DATABASE": service.tables.url,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Operations:" in run.stdout
