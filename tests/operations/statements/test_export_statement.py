"""Exports from a database: the days agree with the statement, files have tags, archives are complete."""

import csv
import hashlib
import io
import zipfile
from contextlib import closing
from decimal import Decimal

import pytest
from msgspec.structs import replace

from metering.domain.charges.spend import PeriodBasis
from metering.domain.errors import NotFoundError
from metering.exports.errors import ExportSumError
from metering.exports.formats import FORMATS, export_format
from metering.operations.statements import export_statement as operation
from metering.operations.statements.export_archive import INDEX, ArchiveScope, export_archive
from metering.operations.statements.export_statement import ExportedFile, UnchangedFile, export_statement
from metering.operations.steps.read_books import statement_of_account
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import DAY, NOON, instant, usage_event

PLANS = bundled_plans()


@pytest.fixture
def month(meter):
    """Forty days of usage in two projects over two months, and usage that is not payable."""
    meter.configure(declared_tags=["team"])
    events = [
        usage_event(time=NOON + number * DAY, project=f"p{number % 2}", tags={"team": "core"} if number % 3 else {})
        for number in range(-20, 20)
    ]
    events += [
        usage_event(route="provider_key"),
        usage_event(model="nobody/knows"),
        usage_event(route="unknown"),
        usage_event(status=500),
        usage_event(quantities=Quantities(input_tokens=7, cache_read_tokens=5)),
    ]
    meter.ingest(*events)
    meter.declare("globex")
    meter.ingest(usage_event(account="globex"))
    return meter


def exported(meter, name="csv", account="acme", month=202611, **options):
    return export_statement(meter.engine, account, month, PLANS, FORMATS[name], **options)


def content(file) -> bytes:
    with closing(file):
        return b"".join(file.chunks())


def billed(meter):
    """Return acme's spend in November, by route and billability."""
    period = instant("2026-11-01T00:00:00Z"), instant("2026-12-01T00:00:00Z")
    group = ("route", "billable")
    return meter.spend(*period, period_basis=PeriodBasis.BILLING, filters={"account": ("acme",)}, group_by=group)


def archived(meter, *, account=None, month=None, names=("csv",), **options):
    scope = ArchiveScope(account, month, [FORMATS[name] for name in names])
    return export_archive(meter.engine, scope, PLANS, **options)


def unpacked(file) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content(file))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_its_size_and_a_tag_from_its_bytes(month, name):
    first, again = exported(month, name), exported(month, name)
    assert (first.size, first.tag) == (again.size, again.tag)
    data = content(first)
    assert (len(data), data) == (first.size, content(again))
    assert first.tag == hashlib.sha256(data).hexdigest()[:32]


def test_the_days_add_up_to_the_spend(month):
    days = rows(content(exported(month, "daily")))
    payable = sum(Decimal(row["amount_usd"]) for row in days if row["section"] == "payable" and row["amount_usd"])
    spent = sum(row.amount_nano for row in billed(month) if row.group == ("routed", "true"))
    assert payable == Decimal(spent).scaleb(-9)
    assert {row["section"] for row in days} == {"payable", "owed_to_partner", "unpriced", "route_unknown", "failed"}
    assert {row["tags"] for row in days} == {"", '{"team":"core"}'}
    of_search = [row["day"] for row in days if row["project"] == "p1" and row["tags"] and row["quantity_kind"] == "requests"]
    assert of_search == sorted(of_search) and len(set(of_search)) == len(of_search) > 5


def test_the_days_count_the_requests_of_the_spend(month):
    counted = sum(int(row["quantity"]) for row in rows(content(exported(month, "daily"))) if row["quantity_kind"] == "requests")
    assert counted == sum(row.events for row in billed(month))


def test_a_caller_with_the_current_file_does_not_get_it_again(month):
    file = exported(month)
    content(file)
    assert exported(month, known=frozenset({file.tag})) == UnchangedFile(file.tag)
    assert exported(month, known=frozenset({"*"})) == UnchangedFile(file.tag)
    content(exported(month, known=frozenset({"another"})))
    month.ingest(usage_event())
    changed = exported(month, known=frozenset({file.tag}))
    assert isinstance(changed, ExportedFile)
    changed.close()


def test_the_tag_of_a_closed_statement_needs_no_file(month, monkeypatch):
    monkeypatch.setattr(
        operation, "statement_of_account", lambda *args: replace(statement_of_account(*args), digest="d1", status="closed")
    )
    file = exported(month, "focus")
    file.close()
    monkeypatch.setattr(operation, "detail_of", lambda *_, **__: pytest.fail("the file was made"))
    assert exported(month, "focus", known=frozenset({file.tag})) == UnchangedFile(file.tag)
    other_version = export_format("focus", "1.3")
    with pytest.raises(pytest.fail.Exception, match="the file was made"):
        export_statement(month.engine, "acme", 202611, PLANS, other_version, known=frozenset({file.tag}))


def test_days_that_do_not_agree_with_the_statement_are_not_exported(month):
    month.execute("UPDATE rollups SET amount_nano = amount_nano + 1 WHERE billing_month = 202611 AND billable = 1")
    for name in ("daily", "focus"):
        with pytest.raises(ExportSumError, match="'acme' in 2026-11 add up to"):
            exported(month, name)
    content(exported(month, "csv"))


def test_an_archive_of_an_account_has_all_its_months(month):
    files = unpacked(archived(month, account="acme", names=("csv", "focus", "json")))
    assert list(files) == [
        f"acme/{kind}-acme-{of}.{suffix}"
        for of in ("2026-10", "2026-11")
        for kind, suffix in (("statement", "csv"), ("focus", "csv"), ("statement", "json"))
    ] + [INDEX]
    assert files["acme/statement-acme-2026-11.csv"] == content(exported(month))


def test_an_archive_of_a_month_has_all_accounts_and_a_correct_index(month):
    file = archived(month, month=202611)
    assert file.name == "statements-all-accounts-2026-11.zip"
    files = unpacked(file)
    index = rows(files.pop(INDEX))
    assert [row["account"] for row in index] == ["acme", "globex"]
    assert {row["file"]: (row["sha256"], row["bytes"]) for row in index} == {
        name: (hashlib.sha256(data).hexdigest(), str(len(data))) for name, data in files.items()
    }
    totals = [rows(files[row["file"]])[-1] for row in index]
    assert all(row["status"] == "draft" for row in index)
    assert len(totals) == 2


def test_the_same_statements_give_the_same_archive(month):
    first = archived(month, month=202611, names=("csv", "xlsx", "pdf"))
    again = archived(month, month=202611, names=("csv", "xlsx", "pdf"))
    assert content(first) == content(again)
    assert archived(month, month=202611, names=("csv", "xlsx", "pdf"), known=frozenset({first.tag})) == UnchangedFile(first.tag)


def test_account_names_never_lead_out_of_the_archive_or_collide(bare_meter):
    named = ["../../etc/passwd", "a/b", "a b", "A_B", "..", "Köln", "index.csv", "=x"]
    for name in named:
        bare_meter.declare(name)
    bare_meter.record_prices()
    bare_meter.ingest(*(usage_event(account=name) for name in named))
    files = unpacked(archived(bare_meter, month=202611))
    folders = [name.split("/")[0] for name in files if name != INDEX]
    assert len({name.casefold() for name in files}) == len(files) == len(named) + 1
    assert all(name.count("/") == 1 for name in files if name != INDEX)
    assert not {"", ".", ".."} & set(folders)
    assert not any(letter in name for name in files for letter in "\\:\0")
    assert "Köln" in folders
    index = rows(files[INDEX])
    assert {row["account"].removeprefix("'") for row in index} == set(named)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in index for cell in row.values())


@pytest.mark.parametrize("scope", [{"account": "nobody"}, {"month": 202501}, {"account": "acme", "month": 202501}])
def test_an_archive_without_statements_is_not_found(month, scope):
    with pytest.raises(NotFoundError, match="there is no"):
        archived(month, **scope)
