"""Alembic's entry: runs the steps on the connection that `migrate` holds open."""

from alembic import context

from roadworthy.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
