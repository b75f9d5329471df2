"""Narrow event rows: rare quantities as JSON, receipts in a separate table, no columns that follow from others.

A SQLite database with events is converted by copying every row once, so the time grows with the event log. No PostgreSQL
database was ever used at the previous revision: its tables are empty and are recreated in the shape that PostgreSQL needs. On
PostgreSQL, a downgrade from here is refused while there are events.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

COLUMN_KINDS = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
OTHER_KINDS = (
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "images",
    "megapixels",
    "video_ms",
    "audio_ms",
    "compute_ms",
    "characters",
)
ALL_KINDS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    *OTHER_KINDS[2:],
    "reasoning_tokens",
)
KEPT = ("id", "account_id", "series_id", "source_id", "external_id", "event_time", "status", "quantity_grade", *COLUMN_KINDS)
KEPT_AFTER = ("charge_nano", "rate_id", "price_grade", "billing_month", "response_id", "inference_id", "latency_ms")
CHARGES = ("id", "event_id", "series_id", "sign", "amount_nano", "rate_id", "price_grade")
CHARGES_AFTER = ("billing_month", "recorded_at", "reason")

# A merge patch removes keys whose value is null, which leaves the kinds that are not zero.
STATED_OTHERS = ", ".join(f"'{kind}', nullif({kind}, 0)" for kind in OTHER_KINDS)
OTHERS_AS_JSON = f"json_patch('{{}}', json_object({STATED_OTHERS}))"
DETAILS_WITH_DERIVED = "CASE time_derived WHEN 0 THEN details ELSE json_set(CASE details WHEN '' THEN '{}' ELSE details END, '$.time_derived', json('true')) END"
BILLED = "CASE WHEN series.route IN ('routed', 'serverless') AND {entry}.price_grade <> 3 THEN 1 ELSE 0 END"
# A cache price was assumed if cached tokens were charged at a rate with an input price but no cache price.
ASSUMED = """CASE WHEN {entry}.rate_id IS NOT NULL
    AND EXISTS (SELECT 1 FROM rate_prices WHERE rate_id = {entry}.rate_id AND quantity = 'input_tokens')
    AND EXISTS (
        SELECT 1 FROM (
            SELECT 'cache_read_tokens' AS kind, events.cache_read_tokens AS used
            UNION ALL SELECT 'cache_write_tokens', coalesce(json_extract(nullif(events.other_quantities, ''), '$.cache_write_tokens'), 0)
            UNION ALL SELECT 'cache_write_1h_tokens', coalesce(json_extract(nullif(events.other_quantities, ''), '$.cache_write_1h_tokens'), 0)
        ) AS cached
        WHERE cached.used > 0
        AND NOT EXISTS (SELECT 1 FROM rate_prices WHERE rate_id = {entry}.rate_id AND quantity = cached.kind)
    ) THEN 1 ELSE 0 END"""
RECEIVED_AT = (
    "coalesce((SELECT received_at FROM receipts WHERE first_event_id <= events.id ORDER BY first_event_id DESC LIMIT 1), 0)"
)


def upgrade() -> None:
    create_receipts()
    if op.get_bind().dialect.name == "postgresql":
        shape_for_postgres()
    else:
        narrow_on_sqlite()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        shape_as_before_on_postgres()
    else:
        widen_on_sqlite()
    op.drop_table("receipts")


def create_receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("first_event_id", Int64, autoincrement=False, nullable=False),
        sa.Column("received_at", Int64, nullable=False),
        sa.PrimaryKeyConstraint("first_event_id", name=op.f("pk_receipts")),
        sqlite_strict=True,
    )


def narrow_on_sqlite() -> None:
    op.execute(
        "INSERT INTO receipts SELECT id, received_at FROM ("
        "SELECT id, received_at, lag(received_at) OVER (ORDER BY id) AS before FROM events"
        ") WHERE before IS NULL OR before <> received_at"
    )
    create_events("events_narrow", COLUMN_KINDS, [sa.Column("other_quantities", sa.Text(), server_default="", nullable=False)])
    op.execute(
        f"INSERT INTO events_narrow SELECT {', '.join(KEPT)}, CASE {OTHERS_AS_JSON} WHEN '{{}}' THEN '' ELSE {OTHERS_AS_JSON} END,"
        f" {', '.join(KEPT_AFTER)}, {DETAILS_WITH_DERIVED} FROM events"
    )
    create_charges("charges_narrow", [])
    op.execute(f"INSERT INTO charges_narrow SELECT {', '.join((*CHARGES, *CHARGES_AFTER))} FROM charges")
    take_the_place("narrow")


def widen_on_sqlite() -> None:
    wide = [flag("billable"), flag("cache_price_unknown")]
    create_events("events_wide", ALL_KINDS, [flag("time_derived"), sa.Column("received_at", Int64, nullable=False), *wide])
    others = ", ".join(f"coalesce(json_extract(nullif(other_quantities, ''), '$.{kind}'), 0)" for kind in OTHER_KINDS)
    op.execute(
        f"INSERT INTO events_wide ({', '.join((*KEPT, *OTHER_KINDS, *KEPT_AFTER))},"
        " details, time_derived, received_at, billable, cache_price_unknown)"
        f" SELECT {', '.join(f'events.{name}' for name in KEPT)}, {others}, {', '.join(KEPT_AFTER)},"
        " CASE json_remove(nullif(details, ''), '$.time_derived') WHEN '{}' THEN ''"
        " ELSE coalesce(json_remove(nullif(details, ''), '$.time_derived'), '') END,"
        f" coalesce(json_extract(nullif(details, ''), '$.time_derived'), 0), {RECEIVED_AT},"
        f" {BILLED.format(entry='events')}, {ASSUMED.format(entry='events')}"
        " FROM events JOIN series ON series.id = events.series_id"
    )
    create_charges("charges_wide", wide)
    op.execute(
        f"INSERT INTO charges_wide ({', '.join((*CHARGES, *CHARGES_AFTER))}, billable, cache_price_unknown)"
        f" SELECT {', '.join(f'charges.{name}' for name in (*CHARGES, *CHARGES_AFTER))},"
        f" {BILLED.format(entry='charges')}, {ASSUMED.format(entry='charges')}"
        " FROM charges JOIN series ON series.id = charges.series_id JOIN events ON events.id = charges.event_id"
    )
    take_the_place("wide")


def flag(name: str) -> sa.Column[int]:
    return sa.Column(name, Int64, nullable=False, info={"flag": True})


def flag_checks(table: str, columns: list[sa.Column]) -> list[sa.CheckConstraint]:
    flags = [column.name for column in columns if column.info.get("flag")]
    return [sa.CheckConstraint(f"{name} IN (0, 1)", name=op.f(f"ck_{table}_{name}")) for name in flags]


def create_events(name: str, kinds: tuple[str, ...], extra: list[sa.Column], *, partitioned: bool = False) -> None:
    after_kinds = [column for column in extra if column.name == "other_quantities"]
    op.create_table(
        name,
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("series_id", Int64, nullable=False),
        sa.Column("source_id", Int64, nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("event_time", Int64, nullable=False),
        sa.Column("status", Int64, nullable=True),
        sa.Column("quantity_grade", Int64, nullable=False),
        *(sa.Column(kind, Int64, nullable=False) for kind in kinds),
        *after_kinds,
        sa.Column("charge_nano", Int64, nullable=True),
        sa.Column("rate_id", Int64, nullable=True),
        sa.Column("price_grade", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("response_id", sa.Text(), server_default="", nullable=False),
        sa.Column("inference_id", sa.Text(), server_default="", nullable=False),
        sa.Column("latency_ms", Int64, nullable=True),
        sa.Column("details", sa.Text(), server_default="", nullable=False),
        *(column for column in extra if column not in after_kinds),
        sa.CheckConstraint("charge_nano >= 0 AND charge_nano < 9007199254740992", name=op.f("ck_events_charge_bounds")),
        sa.CheckConstraint("(charge_nano IS NULL) = (price_grade = 2)", name=op.f("ck_events_unpriced")),
        sa.CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name=op.f("ck_events_rated")),
        sa.CheckConstraint(" AND ".join(f"{kind} >= 0" for kind in kinds), name=op.f("ck_events_quantities")),
        *flag_checks("events", extra),
        *(() if partitioned else references(events=EVENT_REFERENCES)),
        sa.PrimaryKeyConstraint(*(("id", "event_time") if partitioned else ("id",)), name=op.f("pk_events")),
        sqlite_strict=True,
        **({"postgresql_partition_by": "RANGE (event_time)"} if partitioned else {}),
    )


EVENT_REFERENCES = {"account_id": "accounts", "rate_id": "rates", "series_id": "series", "source_id": "sources"}


def references(**tables: dict[str, str]) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))
        for table, columns in tables.items()
        for column, target in columns.items()
    ]


def create_charges(name: str, extra: list[sa.Column], *, to_events: bool = True) -> None:
    op.create_table(
        name,
        sa.Column("id", Int64, nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("series_id", Int64, nullable=False),
        sa.Column("sign", Int64, nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("rate_id", Int64, nullable=True),
        sa.Column("price_grade", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        *extra,
        sa.CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name=op.f("ck_charges_rated")),
        sa.CheckConstraint("amount_nano * sign >= 0", name=op.f("ck_charges_amount")),
        sa.CheckConstraint("sign IN (-1, 1)", name=op.f("ck_charges_sign")),
        *flag_checks("charges", extra),
        *(references(charges={"event_id": "events"}) if to_events else ()),
        sa.ForeignKeyConstraint(["rate_id"], ["rates.id"], name=op.f("fk_charges_rate_id")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_charges_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sqlite_strict=True,
    )


def take_the_place(suffix: str) -> None:
    """Replace the old tables with the new ones. References by name then point to the new ones."""
    for table in ("charges", "events"):
        op.drop_table(table)
        op.rename_table(f"{table}_{suffix}", table)
    op.create_index("ix_events_account_id_event_time", "events", ["account_id", "event_time"], unique=False)
    op.create_index("ix_charges_event_id", "charges", ["event_id"], unique=False)


def shape_for_postgres() -> None:
    """Recreate the event tables: a partitioned log, and no foreign keys to it, because its key must include the time."""
    drop_event_tables()
    create_events(
        "events",
        COLUMN_KINDS,
        [sa.Column("other_quantities", sa.Text(), server_default="", nullable=False)],
        partitioned=True,
    )
    create_charges("charges", [], to_events=False)
    create_copies(to_events=False)
    op.create_index("ix_events_account_id_event_time", "events", ["account_id", "event_time"], unique=False)
    op.create_index("ix_charges_event_id", "charges", ["event_id"], unique=False)
    create_identities(sa.Uuid())
    create_claims("event_claims", ["claim"])
    create_claims("later_claims", ["claim", "event_id"])
    op.execute("CREATE SEQUENCE event_ids AS BIGINT START WITH 1 INCREMENT BY 1000")
    # Only current names must be unique, and the existing account already uses the first id.
    op.drop_index("uq_account_names_current", table_name="account_names")
    op.create_index(
        "uq_account_names_current", "account_names", ["name"], unique=True, postgresql_where=sa.text("valid_to IS NULL")
    )
    op.execute("SELECT setval(pg_get_serial_sequence('accounts', 'id'), max(id)) FROM accounts")


def shape_as_before_on_postgres() -> None:
    if op.get_bind().execute(sa.text("SELECT EXISTS (SELECT FROM events)")).scalar_one():
        raise RuntimeError("cannot downgrade a PostgreSQL database with events below revision 0002; nothing changed")
    drop_event_tables()
    op.drop_table("later_claims")
    op.execute("DROP SEQUENCE event_ids")
    wide = [flag("billable"), flag("cache_price_unknown")]
    create_events("events", ALL_KINDS, [flag("time_derived"), sa.Column("received_at", Int64, nullable=False), *wide])
    create_charges("charges", wide)
    create_copies()
    op.create_index("ix_events_account_id_event_time", "events", ["account_id", "event_time"], unique=False)
    op.create_index("ix_charges_event_id", "charges", ["event_id"], unique=False)
    create_identities(sa.LargeBinary())
    create_claims("event_claims", ["claim", "event_id"])


def drop_event_tables() -> None:
    for table in ("event_copies", "charges", "events", "event_identities", "event_claims"):
        op.drop_table(table)


def create_copies(*, to_events: bool = True) -> None:
    op.create_table(
        "event_copies",
        sa.Column("id", Int64, autoincrement=False, nullable=False),
        sa.Column("copy_of", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("source_id", Int64, nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("event_time", Int64, nullable=False),
        sa.Column("received_at", Int64, nullable=False),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        *references(event_copies={"account_id": "accounts", "source_id": "sources"}),
        *(references(event_copies={"copy_of": "events"}) if to_events else ()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_copies")),
    )
    op.create_index("ix_event_copies_copy_of", "event_copies", ["copy_of"], unique=False)


def create_identities(identity: sa.types.TypeEngine) -> None:
    op.create_table(
        "event_identities",
        sa.Column("identity", identity, nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("fingerprint", Int64, nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_event_identities")),
    )


def create_claims(name: str, key: list[str]) -> None:
    op.create_table(
        name,
        sa.Column("claim", Int64, autoincrement=False, nullable=False),
        sa.Column("event_id", Int64, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
    )
