"""What an operator sees of a move: how far it is, and each refused row."""

from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from roadworthy.moving.dump import printable
from roadworthy.moving.queries import Refused


class Screen:
    """A bar on standard error, where that is a terminal; refused rows on standard output."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("Reading", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def ignores(self, columns: list[str]) -> None:
        """Columns of the dump that have no place here."""
        if columns:
            names = ", ".join(printable(name) for name in columns)
            click.echo(f"roadworthy: columns that are ignored: {names}", err=True)

    def has_read(self, done: int, total: int) -> None:
        """Bytes of the dump; a `total` of 0 is not known."""
        self._progress.update(self._task, completed=done, total=total or None)

    def compares(self) -> None:
        """Everything is read."""
        self._progress.update(self._task, description="Comparing")

    def takes_over(self) -> None:
        """Nothing is refused."""
        self._progress.update(self._task, description="Taking over")

    def refuses(self, refused: Refused) -> None:
        """A row, in the order of lines."""
        self._progress.stop()
        click.echo(f"line {refused.line}: {'; '.join(refused.reasons)}")
