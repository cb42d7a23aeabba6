"""The `roadworthy` command. Errors are one line that says what to do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from roadworthy import __version__
from roadworthy.settings import SettingsError, load_settings, show_settings, warnings

COMMAND_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_port = click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 picks a free one.",
)


@click.group(context_settings=COMMAND_SETTINGS)
@click.version_option(__version__, message="roadworthy %(version)s")
def cli() -> None:
    """Drivers register, hand in their documents and are cleared to drive."""


@cli.command()
@_host
@_port
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Server processes to run.",
)
def serve(host: str, port: int, workers: int) -> None:
    """Serve the API until stopped. An embedded database is migrated first."""
    with _shared_metrics(workers):
        from roadworthy import server  # noqa: PLC0415 -- other commands start without it

        settings = load_settings()
        server.prepare(settings)
        for warning in warnings(settings):
            click.echo(f"roadworthy: {warning}", err=True)
        server.serve(
            host,
            port,
            workers,
            lambda url: click.echo(f"Roadworthy is ready at {url}"),
            server.pair_files(settings),
        )


@cli.command()
def migrate() -> None:
    """Bring the database to the schema of this release."""
    from roadworthy import migrations  # noqa: PLC0415

    settings = load_settings()
    if settings.embedded:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    serving, owner = (
        urlsplit(url).username for url in (settings.database_url, settings.migration_database_url)
    )
    before, after = migrations.migrate(
        settings.migration_database_url, grant_to=serving if serving != owner else None
    )
    click.echo(
        f"The database is at version {after}, as it was."
        if before == after
        else f"The database went from {before or 'empty'} to version {after}."
    )


@cli.command()
def maintain() -> None:
    """Do the background work that is due. For those who prefer cron."""
    from roadworthy import maintenance  # noqa: PLC0415

    done = maintenance.run_due(load_settings())
    click.echo(f"Did {done} job{'' if done == 1 else 's'}.")


@cli.group()
def jobs() -> None:
    """Look after background work that failed."""


@jobs.command("list")
def list_jobs() -> None:
    """Show the jobs that are failing or were given up, and why."""
    from roadworthy import maintenance  # noqa: PLC0415

    table = _table("Job", "Kind", "State", "Attempts", "Given up / next try", "Last error")
    failed = maintenance.failed_jobs(load_settings())
    for job in failed:
        table.add_row(
            str(job.id),
            escape(job.kind),
            "dead" if job.died_at else "failing",
            str(job.attempts),
            f"{job.died_at or job.run_at:%Y-%m-%d %H:%M:%S}Z",
            escape(job.last_error or ""),
        )
    if failed:
        Console().print(table)
    else:
        click.echo("No job is failing or was given up.")


@jobs.command("retry")
@click.argument("job_id", type=click.IntRange(1, 2**63 - 1))
def retry_job(job_id: int) -> None:
    """Try the job JOB_ID again, that was given up."""
    from roadworthy import maintenance  # noqa: PLC0415

    if not maintenance.retry_job(load_settings(), job_id):
        raise click.ClickException(f"no job {job_id} was given up: see `roadworthy jobs list`")
    click.echo(f"Job {job_id} is tried again within a second where the service runs.")


_dump = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_dry_run = click.option("--dry-run", is_flag=True, help="Only list the rows that are refused.")


@cli.group()
def users() -> None:
    """Move in the users of another service."""


@users.command("import")
@_dump
@_dry_run
def import_users(file: Path, *, dry_run: bool) -> None:
    """Take over the users in FILE (CSV), all or none.

    Columns: id, email, encrypted_password (bcrypt), phone_number, created_at; if there,
    updated_at and confirmed_at.
    """
    _move_in("users", file, dry_run=dry_run)


@cli.group()
def profiles() -> None:
    """Move in the profiles of another service."""


@profiles.command("import")
@_dump
@_dry_run
def import_profiles(file: Path, *, dry_run: bool) -> None:
    """Take over the profiles in FILE (CSV), all or none.

    Columns: id, user_id, first_name, last_name, postcode, birth_date, start_date,
    contact_phone_number; if there, bio, english_level, created_at and updated_at.
    """
    _move_in("profiles", file, dry_run=dry_run)


@cli.group()
def tokens() -> None:
    """Move in the tokens that another service revoked."""


@tokens.command("import")
@_dump
@_dry_run
def import_tokens(file: Path, *, dry_run: bool) -> None:
    """Take over the denylist in FILE (CSV), all or none.

    Columns: jti, and exp, in seconds since 1970 or as a time.
    """
    _move_in("tokens", file, dry_run=dry_run)


def _move_in(name: str, file: Path, *, dry_run: bool) -> None:
    from roadworthy import moving  # noqa: PLC0415

    url = load_settings().migration_database_url
    kind = {kind.name: kind for kind in (moving.USERS, moving.PROFILES, moving.TOKENS)}[name]
    now = datetime.now(UTC)
    with moving.Screen() as screen:
        outcome = moving.move_in(url, kind, file, dry_run=dry_run, now=now, watcher=screen)
    if outcome.refused:
        raise click.ClickException(
            f"{outcome.refused} of {outcome.rows} rows are refused, for the reasons above: nothing "
            "was taken over"
        )
    done = "would be taken over" if dry_run else "taken over"
    click.echo(f"{name.capitalize()}: {outcome.taken} {done}, {outcome.here} here already.")


@cli.command()
def config() -> None:
    """Show every setting and its source. Secrets are masked."""
    for shown in show_settings():
        value = click.style(shown.value or "(empty)", bold=True)
        click.echo(f"{shown.name}  {value}  ({shown.source})\n    {shown.meaning}")


@cli.command()
def openapi() -> None:
    """Print the API document (OpenAPI 3.1)."""
    import msgspec  # noqa: PLC0415

    from roadworthy.app import describe  # noqa: PLC0415

    click.echo(msgspec.json.format(describe(load_settings())))


@cli.command()
@_host
@_port
def demo(host: str, port: int) -> None:
    """Register a driver in a throwaway folder. Goes on serving it until stopped."""
    from roadworthy import demo as show  # noqa: PLC0415

    show.run(host, port, click.echo)


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """Several server processes add up their metrics in a folder, named before they are loaded.

    It is in memory where there is such a folder: on a disk that is full they would be killed, as
    the files are mapped.
    """
    if workers == 1:
        yield
        return
    memory = Path("/dev/shm")  # noqa: S108 -- the folder in it is ours alone
    place = memory if os.access(memory, os.W_OK) else None
    with TemporaryDirectory(prefix="roadworthy-metrics-", dir=place) as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def main() -> None:
    """Entry point: as click runs it, with every error as one line."""
    os.umask(0o077)  # what we make in the data folder is for nobody else
    try:
        cli(prog_name="roadworthy", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "roadworthy"
        message = error.format_message().removesuffix(".")
        _complain(f"{message}: see `{command} --help`", error.exit_code)
    except click.ClickException as error:
        _complain(error.format_message(), error.exit_code)
    except _known_errors() as error:
        _complain(str(error), 1)


def _complain(message: str, status: int) -> NoReturn:
    click.echo(f"roadworthy: {' '.join(message.split())}", err=True)
    sys.exit(status)


def _known_errors() -> tuple[type[Exception], ...]:
    """Those of modules that are loaded: what is not loaded has raised nothing."""
    names = (
        ("roadworthy.server", "CannotServe"),
        ("roadworthy.migrations", "MigrationError"),
        ("roadworthy.moving", "CannotMoveIn"),
        ("roadworthy.database", "Unavailable"),
    )
    loaded = [getattr(sys.modules[module], name) for module, name in names if module in sys.modules]
    return (SettingsError, OSError, *loaded)
