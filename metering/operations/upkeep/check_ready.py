"""Whether the service can serve requests: the database responds, and has this release's schema."""

from functools import cache

from sqlalchemy import Engine

from metering.storage.engine.schema_revision import check_revision, current_revision, head_revision

_head_revision = cache(head_revision)  # reading the scripts takes longer than asking the database


def check_ready(engine: Engine) -> str:
    """Return the schema's revision. Raises SchemaOutOfDateError, and SQLAlchemy's errors if the database does not respond."""
    head = _head_revision()
    check_revision(current_revision(engine), head)
    return head
