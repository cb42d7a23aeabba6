"""The `roadworthy` command. Errors are one line that says what to do."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from roadworthy import __version__
from roadworthy.priority import step_back
from roadworthy.settings import Settings, SettingsError, load_settings, show_settings, warnings

if TYPE_CHECKING:
    from roadworthy.accounts import Applied
    from roadworthy.backup import Told

STEP_BACK = 5
"""How nice a backup is: who answers requests has three times its share of a processor."""

MOST_SHOWN = 20

OBJECTS_BETWEEN_COLLECTIONS = 20_000
"""What is loaded at the start stays: to look at it for cycles 28 times as often, as is usual, took
a seventh of the start."""

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
    _share_metrics(workers)
    from roadworthy import server  # noqa: PLC0415 -- other commands start without it

    settings = load_settings()
    server.prepare(settings)
    for warning in (*warnings(settings), *server.connection_warnings(workers)):
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
        settings.migration_database_url,
        grant_to=serving if serving != owner else None,
        keep_in=settings.copies_dir,
    )
    click.echo(
        f"The database is at version {after}, as it was."
        if before == after
        else f"The database went from {before or 'empty'} to version {after}."
    )


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed, and why.")
def maintain(*, dry_run: bool) -> None:
    """Do the background work that is due. For those who prefer cron."""
    from roadworthy import maintenance  # noqa: PLC0415

    if dry_run:
        settings = load_settings()
        count = maintenance.show_going(settings, lambda each: click.echo(": ".join(each)))
        click.echo(f"{count} would be removed." if count else "Nothing would be removed.")
        return
    done, failed = maintenance.run_due(load_settings())
    click.echo(f"Did {done} job{'' if done == 1 else 's'}.")
    if failed:
        raise click.ClickException(
            f"{failed} job{'' if failed == 1 else 's'} failed: see `roadworthy jobs list`"
        )


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


@cli.group()
def files() -> None:
    """Look after the files that drivers handed in."""


@files.command("move")
@click.option("--to", "target", required=True, metavar="URL", help="Where they go.")
@click.option(
    "--from",
    "source",
    metavar="URL",
    help="Where they are; else what ROADWORTHY_STORAGE_URL says.",
)
@click.option(
    "--delete", is_flag=True, help="Once all are there, and served from there, delete them here."
)
def move_files(target: str, source: str | None, *, delete: bool) -> None:
    """Copy all files to another storage while serving, and verify each.

    Interrupted, it goes on where it was when it is started again.
    """
    from roadworthy import maintenance  # noqa: PLC0415

    settings = load_settings()
    with _progress("Moving files") as begin:
        moved = maintenance.move_files(
            settings, source or settings.storage_url, target, begin, delete=delete
        )
    click.echo(
        f"Copied and verified: {moved.copied}, there already and verified: {moved.present}, "
        f"deleted here: {moved.deleted}."
    )
    if moved.wrong:
        shown = ", ".join(map(str, moved.wrong[:MOST_SHOWN]))
        raise click.ClickException(
            f"{len(moved.wrong)} files are missing or damaged where they are now, and were not "
            f"copied; their ids: {shown}{', …' if len(moved.wrong) > MOST_SHOWN else ''}: put them "
            "back from a backup"
        )


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


_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="Read the passphrase from the first line of FILE.",
    metavar="FILE",
)
_latest_tombstones = click.option(
    "--latest-tombstones",
    is_flag=True,
    help="There are no later ones: the service has not run since.",
)


@cli.command()
@click.argument("to", type=click.Path(path_type=Path))
@_passphrase_file
def backup(to: Path, passphrase_file: Path | None) -> None:
    """Back up everything to an encrypted file in the folder TO, while serving.

    The passphrase comes from ROADWORTHY_BACKUP_PASSPHRASE, a file, or the terminal.
    """
    from roadworthy.backup import make_backup, require_embedded  # noqa: PLC0415

    settings = load_settings()
    require_embedded(settings)  # before anybody thinks of a passphrase
    passphrase = _passphrase(settings, passphrase_file, is_new=True)
    step_back(STEP_BACK)
    with _progress("Backing up") as begin:
        made = make_backup(settings, to, passphrase, begin)
    files = f"{made.files} file{'' if made.files == 1 else 's'}"
    click.echo(f"Backed up the database, {files} and the secret to {made.path}.")
    if made.in_bucket:
        click.echo("The files are in a bucket, which has a backup of its own or none.")
    if made.vanished:
        click.echo(f"{made.vanished} more were deleted meanwhile, and are not in it.")


@cli.command()
@click.argument("backup_file", metavar="BACKUP", type=click.Path(path_type=Path))
@click.option(
    "--tombstones",
    "copies",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="What must stay revoked, beside what is found beside BACKUP; may be given again.",
)
@click.option(
    "--without-tombstones", is_flag=True, help="There are none: sign everybody out instead."
)
@_latest_tombstones
@_passphrase_file
def restore(
    backup_file: Path,
    copies: tuple[Path, ...],
    passphrase_file: Path | None,
    *,
    without_tombstones: bool,
    latest_tombstones: bool,
) -> None:
    """Put BACKUP back into an empty data folder, and verify it."""
    from roadworthy.backup import restore_backup  # noqa: PLC0415

    if copies and without_tombstones:
        raise click.UsageError("--tombstones and --without-tombstones exclude each other")
    settings = load_settings()
    passphrase = _passphrase(settings, passphrase_file, is_new=False)
    with _progress("Restoring") as begin:
        restored = restore_backup(
            settings,
            backup_file,
            passphrase,
            None if without_tombstones else copies,
            begin,
            are_latest=latest_tombstones,
        )
    files = f"{restored.files} file{'' if restored.files == 1 else 's'}"
    click.echo(
        f"Restored the backup of {restored.header.made_at} to {settings.data_dir}: the database, "
        f"{files} and the secret."
    )
    if restored.applied is None:
        click.echo(
            "Everybody is signed out. Passwords changed and accounts closed since then are as "
            "they were: without tombstones nobody knows them."
        )
    else:
        _show_applied(restored.applied, restored.told)
    if restored.has_digests_of_devise and not settings.devise_pepper:
        click.echo(
            "Passwords that moved in are among them: if their service had a pepper, set "
            "ROADWORTHY_DEVISE_PEPPER to it again, which is in no backup."
        )
    click.echo("Make a backup soon: tombstones are kept beside that one, no longer beside this.")


@cli.group()
def tombstones() -> None:
    """Keep dead what an older database would revive."""


@tombstones.command("apply")
@click.argument(
    "copies", metavar="FILE...", type=click.Path(path_type=Path), nargs=-1, required=True
)
@_latest_tombstones
def apply_tombstones(copies: tuple[Path, ...], *, latest_tombstones: bool) -> None:
    """Apply each FILE to a database that was put back by other means than `restore`."""
    from roadworthy.backup import apply_copies  # noqa: PLC0415

    _show_applied(*apply_copies(load_settings(), copies, are_latest=latest_tombstones))


def _show_applied(applied: "Applied", told: "Told") -> None:
    until = f", complete until {told.complete_to:%Y-%m-%d %H:%M}Z" if told.complete_to else ""
    click.echo(
        f"Of what the tombstones name{until}, these were alive and are no more: "
        f"tokens: {applied.tokens}, passwords: {applied.passwords}, accounts: {applied.accounts}."
    )
    if told.unread:
        click.echo(
            f"Lines that are no tombstones, as after a power cut, were passed over: {told.unread}."
        )


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


def _passphrase(settings: Settings, file: Path | None, *, is_new: bool) -> str:
    from roadworthy.backup import passphrase_in  # noqa: PLC0415

    if file is not None:
        return passphrase_in(file)
    if settings.backup_passphrase:
        return settings.backup_passphrase
    if not sys.stdin.isatty():
        raise click.ClickException(
            "there is no passphrase: set ROADWORTHY_BACKUP_PASSPHRASE, or name a file with "
            "--passphrase-file"
        )
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """A bar on standard error, when that is a terminal: told the total, then each step."""
    console = Console(stderr=True)
    with Progress(
        *Progress.get_default_columns(), console=console, disable=not console.is_terminal
    ) as bar:

        def begin(total: int) -> Callable[[int], None]:
            task = bar.add_task(what, total=total)
            return lambda done: bar.advance(task, done)

        yield begin


def _share_metrics(workers: int) -> None:
    """Several server processes add up their metrics, which settles it before those are loaded."""
    if workers > 1:
        os.environ["_ROADWORTHY_PROCESSES"] = str(workers)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def main() -> None:
    """Entry point: as click runs it, with every error as one line."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
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
    except PermissionError as error:
        what = f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error)
        _complain(f"{what}: run this as the user who serves", 1)
    except _known_errors() as error:
        _complain(str(error), 1)


def _complain(message: str, status: int) -> NoReturn:
    click.echo(f"roadworthy: {' '.join(message.split())}", err=True)
    sys.exit(status)


def _known_errors() -> tuple[type[Exception], ...]:
    """Those of modules that are loaded: what is not loaded has raised nothing."""
    names = (
        ("roadworthy.server", "CannotServe"),
        ("roadworthy.backup", "BackupError"),
        ("roadworthy.maintenance", "CannotMove"),
        ("roadworthy.migrations", "MigrationError"),
        ("roadworthy.moving", "CannotMoveIn"),
        ("roadworthy.database", "Unavailable"),
    )
    loaded = [getattr(sys.modules[module], name) for module, name in names if module in sys.modules]
    return (SettingsError, OSError, *loaded)
