"""Events that no longer count because another record replaced them or a person withdrew them, and decisions about conflicts.

Correction runs share the table of re-rating runs: both append reversals and replacements. ``derived`` marks sources that were
named after a file; those that exist keep their identities, so they count as named by a person. Until now, an event was identified
by its response's ID even where its record had an ID: ``by_response_id_through`` is the last event of which that is so.

Going down from here is refused once an event was superseded: its charge is reversed, and nothing would show why.

Revision: 0020
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "superseded_events",
        sa.Column("event_id", Int64, autoincrement=False, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("event_time", Int64, nullable=False),
        sa.Column("superseded_by", Int64, nullable=True),
        sa.Column("fingerprint", Int64, nullable=True),
        sa.Column("passes_identity", Int64, nullable=False),
        sa.Column("run_id", Int64, nullable=True),
        sa.Column("superseded_at", Int64, nullable=False),
        sa.CheckConstraint("superseded_by <> event_id", name=op.f("ck_superseded_events_differs")),
        sa.CheckConstraint("passes_identity IN (0, 1)", name=op.f("ck_superseded_events_passes_identity")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_superseded_events_account_id")),
        sa.ForeignKeyConstraint(["run_id"], ["rerate_runs.id"], name=op.f("fk_superseded_events_run_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_superseded_events")),
        sqlite_strict=True,
    )
    op.create_index("ix_superseded_events_superseded_by", "superseded_events", ["superseded_by"])
    op.create_table(
        "conflict_decisions",
        sa.Column("conflict_id", Int64, nullable=False),
        sa.Column("decision", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_by", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.CheckConstraint("decision IN ('accepted', 'dismissed')", name=op.f("ck_conflict_decisions_decision")),
        sa.ForeignKeyConstraint(["conflict_id"], ["event_conflicts.id"], name=op.f("fk_conflict_decisions_conflict_id")),
        sa.PrimaryKeyConstraint("conflict_id", name=op.f("pk_conflict_decisions")),
        sqlite_strict=True,
    )
    op.add_column("sources", sa.Column("derived", Int64, server_default="0", nullable=False))
    op.add_column("sources", sa.Column("by_response_id_through", Int64, server_default="0", nullable=False))
    op.execute("UPDATE sources SET by_response_id_through = (SELECT coalesce(max(id), 0) FROM events)")
    op.add_column("rerate_runs", sa.Column("kind", sa.Text(), server_default="rerate", nullable=False))
    op.add_column("rerate_runs", sa.Column("selection", sa.Text(), server_default="", nullable=False))
    op.add_column("rerate_runs", sa.Column("changes", sa.Text(), server_default="", nullable=False))
    op.add_column("rerate_runs", sa.Column("undoes", Int64, nullable=True))


def downgrade() -> None:
    connection = op.get_bind()
    if connection.execute(sa.text("SELECT 1 FROM superseded_events LIMIT 1")).first():
        raise RuntimeError("a database with superseded events cannot go below revision 0020: nothing would explain them")
    if connection.execute(sa.text("SELECT 1 FROM rerate_runs WHERE kind <> 'rerate' LIMIT 1")).first():
        raise RuntimeError("a database with correction runs cannot go below revision 0020: they would read as re-rating runs")
    for name in ("undoes", "changes", "selection", "kind"):
        op.drop_column("rerate_runs", name)
    op.drop_column("sources", "by_response_id_through")
    op.drop_column("sources", "derived")
    op.drop_table("conflict_decisions")
    op.drop_index("ix_superseded_events_superseded_by", "superseded_events")
    op.drop_table("superseded_events")
