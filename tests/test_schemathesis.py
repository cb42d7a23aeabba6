"""schemathesis reads the API document and tries to prove it, and us, wrong. Every check is on."""

import subprocess
import sys
from pathlib import Path

from tests.support.service import Service, environment

ROOT = Path(__file__).parents[1]


def test_schemathesis_finds_nothing(service: Service, tmp_path: Path, *, soak: bool) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
            *("--checks", "all", "--max-examples", "1000" if soak else "30", "--no-color"),
        ],
        env={
            **environment(),
            "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
            "PYTHONPATH": str(ROOT),
            "TESTED_URL": service.url,
            "TESTED_DATABASE": service.rows.url,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Operations:" in run.stdout
