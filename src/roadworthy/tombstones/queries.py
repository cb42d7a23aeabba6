"""SQL of tombstones. Each is buried in the transaction that ends what it stands for."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Select, delete, func, insert, literal, select

from roadworthy.database import Connection
from roadworthy.jobs import delete_some
from roadworthy.tombstones.tables import backup_folders, lineage, tombstones
from roadworthy.tombstones.tombstone import Tombstone

MOST_AT_ONCE = 1000

_CONTENT = tuple(name for name in Tombstone.__struct_fields__ if name != "id")

MOST_FOLDERS = 32
"""Into which backups went last: whoever makes a folder for each day keeps a month of them right."""


def bury_token(connection: Connection, jti: str, expires_at: datetime | None) -> None:
    """The token `jti` was revoked."""
    bury_tokens(connection, [(jti, expires_at)])


def bury_tokens(connection: Connection, tokens: Iterable[tuple[str, datetime | None]]) -> None:
    """The same for many, each with the time at which it expires."""
    rows = [{"kind": "token", "jti": jti, "expires_at": expires} for jti, expires in tokens]
    if rows:
        connection.execute(insert(tombstones), rows)


def bury_found_tokens(connection: Connection, found: Select[str, datetime | None]) -> None:
    """The same for those that the statement `found` gives, unless they are buried already."""
    buried = select(tombstones.c.jti, tombstones.c.expires_at).where(tombstones.c.kind == "token")
    new = found.except_(buried).subquery()
    rows = select(literal("token"), *new.c)
    connection.execute(insert(tombstones).from_select(["kind", "jti", "expires_at"], rows))


def bury_password(connection: Connection, user_id: int, now: datetime) -> None:
    """The user has another password from `now` on, which is `users.password_changed_at`."""
    row = {"kind": "password", "user_id": user_id, "happened_at": now}
    connection.execute(insert(tombstones), row)


def bury_account(connection: Connection, user_id: int, now: datetime) -> None:
    """The user closed the account."""
    row = {"kind": "account", "user_id": user_id, "happened_at": now}
    connection.execute(insert(tombstones), row)


def add_tombstones(connection: Connection, found: Iterable[Tombstone]) -> None:
    """Those of copies, with ids of their own; what is there already stays."""
    columns = [tombstones.c[name] for name in _CONTENT]
    there = {tuple(row) for row in connection.execute(select(*columns))}
    new = dict.fromkeys(tuple(getattr(each, name) for name in _CONTENT) for each in found)
    rows = [dict(zip(_CONTENT, each, strict=True)) for each in new if each not in there]
    if rows:
        connection.execute(insert(tombstones), rows)


def find_lineage(connection: Connection) -> list[str]:
    """The names of the databases that this one was restored from, the oldest first, and its own."""
    names = select(lineage.c.name).order_by(lineage.c.position)
    return list(connection.execute(names).scalars())


def go_on_as(connection: Connection, name: str) -> None:
    """It is another database from now on, which came from what it was."""
    position = select(func.coalesce(func.max(lineage.c.position), 0) + 1).scalar_subquery()
    connection.execute(insert(lineage).values(name=name, position=position))


def find_tombstone_ids(connection: Connection, after: int) -> list[int]:
    """Those beyond `after`, in order."""
    ids = select(tombstones.c.id).where(tombstones.c.id > after).order_by(tombstones.c.id)
    return list(connection.execute(ids).scalars())


def find_tombstones(connection: Connection, ids: Iterable[int]) -> list[Tombstone]:
    """Those of `ids`, of which there are at most `MOST_AT_ONCE`, in order."""
    columns = (tombstones.c[name] for name in Tombstone.__struct_fields__)
    rows = connection.execute(
        select(*columns).where(tombstones.c.id.in_(ids)).order_by(tombstones.c.id)
    )
    return [Tombstone(*row) for row in rows]


def find_changed_passwords(connection: Connection, user_ids: Select[int]) -> list[Tombstone]:
    """Those of passwords of the users that the statement `user_ids` gives, in order."""
    columns = (tombstones.c[name] for name in Tombstone.__struct_fields__)
    theirs = (tombstones.c.kind == "password", tombstones.c.user_id.in_(user_ids))
    rows = connection.execute(select(*columns).where(*theirs).order_by(tombstones.c.id))
    return [Tombstone(*row) for row in rows]


def closed_user_ids() -> Select[int]:
    """Users who closed their account, for statements that ask for them."""
    account = (tombstones.c.kind == "account", tombstones.c.user_id.is_not(None))
    return select(tombstones.c.user_id).where(*account)


def purge_tombstones(connection: Connection, until: datetime) -> int:
    """Forget some of those of tokens that had expired at `until`: how many."""
    return delete_some(connection, tombstones, tombstones.c.expires_at <= until)


def find_backup_folders(connection: Connection) -> list[str]:
    """Where the last backups went, and copies of the tombstones are kept, the latest first."""
    latest_first = backup_folders.c.backed_up_at.desc()
    return list(
        connection.execute(select(backup_folders.c.folder).order_by(latest_first)).scalars()
    )


def remember_backup_folder(connection: Connection, folder: str, now: datetime) -> None:
    """From now on a copy is kept there as well, and no longer in the oldest of too many."""
    kept = [each for each in find_backup_folders(connection) if each != folder]
    given_up = [folder, *kept[MOST_FOLDERS - 1 :]]
    connection.execute(delete(backup_folders).where(backup_folders.c.folder.in_(given_up)))
    connection.execute(insert(backup_folders), {"folder": folder, "backed_up_at": now})


def forget_backup_folders(connection: Connection) -> None:
    """No copy is kept beside backups until there is another one."""
    connection.execute(delete(backup_folders))
