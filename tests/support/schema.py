"""Databases as older releases made them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from roadworthy import migrations


def upgrade(connection: Connection, version: str) -> None:
    """Bring an older database to the schema `version`, and no further."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, version)
