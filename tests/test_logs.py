"""Lines that nobody takes hold up nothing, and do not pile up."""

import io
import sys
from typing import Any

import pytest

from roadworthy.telemetry import logs


class Pipe:
    """Standard error that can be shut."""

    def __init__(self) -> None:
        self.written = io.BytesIO()
        self.buffer: Any = self
        self.is_open = False

    def write(self, data: bytes) -> None:
        if not self.is_open:
            raise BrokenPipeError
        self.written.write(data)

    def flush(self) -> None:
        """Nothing is held back."""


def test_lines_that_nobody_takes_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", pipe)
    monkeypatch.setattr(logs, "MOST_LINES", 3)
    lines = logs.Lines(starts=False)

    for number in range(5):
        lines.add(b"%d" % number)
    lines.write()
    pipe.is_open = True
    lines.add(b"5")
    lines.write()

    assert pipe.written.getvalue().splitlines() == [
        b"5",
        b'{"event":"log lines dropped","count":5}',
    ]
