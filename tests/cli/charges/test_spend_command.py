"""``metering spend``: periods, groups, filters, and the table."""

import pytest

from support.request_records import LLAMA, request


@pytest.fixture
def spent(command_line):
    """Llama on 3 November (2 requests, $0.00208) and on 1 December ($0.00104), a failure, an unpriced request."""
    log = command_line.write_log(
        [
            request(1, project="search"),
            request(2, project="bot"),
            request(3, time="2026-12-01T00:00:00Z"),
            request(4, status=503),
            request(5, model="nobody/knows", project="bot"),
        ]
    )
    command_line.done("ingest", log, "--account", "acme")
    return command_line


def rows(answer):
    return [(*row["group"].values(), row["events"], row["amount_nano_usd"]) for row in answer["rows"]]


def test_spend_is_grouped_by_provider_and_model_by_default(spent):
    assert rows(spent.json("spend")) == [("together", LLAMA, 4, 3_120_000), ("together", "nobody/knows", 1, 0)]


def test_unpriced_and_failed_requests_are_counted_separately(spent):
    total = spent.json("spend")["total"]
    assert (total["events"], total["failed_events"], total["unpriced_events"], total["unpriced_tokens"]) == (5, 1, 1, 1_000)
    assert (total["amount_nano_usd"], total["amount_usd"]) == (3_120_000, "0.003120000")


@pytest.mark.parametrize(
    ("period", "events"),
    [
        (["--month", "2026-11"], 4),
        (["--month", "2026-12"], 1),
        (["--start", "2026-12-01"], 1),
        (["--end", "2026-12-01"], 4),
        (["--start", "2026-11-03T10:15:00Z", "--end", "2026-11-03T10:15:00.000001Z"], 4),
        (["--start", "2026-11-03T11:15:00+01:00", "--end", "2026-11-04"], 4),
        (["--month", "2026-11", "--period-basis", "billing"], 4),
        (["--period-basis", "billing"], 5),
    ],
)
def test_a_period_contains_its_start_and_not_its_end(spent, period, events):
    assert spent.json("spend", *period, "--by", "none")["total"]["events"] == events


def test_spend_can_be_shown_by_month(spent):
    answer = spent.json("spend", "--by", "none", "--granularity", "month")
    assert [(row["period_start"], row["amount_usd"]) for row in answer["rows"]] == [
        ("2026-11-01T00:00:00.000000Z", "0.002080000"),
        ("2026-12-01T00:00:00.000000Z", "0.001040000"),
    ]


def test_values_of_one_filter_are_alternatives_and_filters_combine(spent):
    assert rows(spent.json("spend", "--by", "project", "--filter", "project=bot", "--filter", "project=search")) == [
        ("bot", 2, 1_040_000),
        ("search", 1, 1_040_000),
    ]
    answer = spent.json("spend", "--by", "project", "--filter", "project=bot", "--filter", f"model={LLAMA}")
    assert rows(answer) == [("bot", 1, 1_040_000)]


def test_dimensions_can_be_repeated_or_separated_by_commas(spent):
    repeated = spent.json("spend", "--by", "project", "--by", "model")
    assert repeated["group_by"] == ["project", "model"]
    assert repeated == spent.json("spend", "--by", "project,model")


def test_the_table_has_aligned_exact_amounts_and_a_total(spent):
    lines = spent.done("spend", "--account", "acme", "--month", "2026-11").splitlines()
    assert lines[0] == "acme, 2026-11"
    llama, unheard, total = (
        next(line for line in lines if line.startswith(start)) for start in ("together  meta", "together  no", "total")
    )
    assert llama.endswith("0.00208")
    assert total.endswith("0.00208")
    assert unheard.rstrip().endswith("0.00")
    assert llama.index("0.00208") == unheard.index("0.00")
    assert lines[-1] == "not priced yet: 1 request, not in the amounts; see `metering prices unpriced`"


def test_a_period_without_usage_is_stated(spent):
    assert spent.done("spend", "--month", "2026-01") == "all accounts, 2026-01: no usage\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--by", "color"], "invalid_spend_query"),
        (["--by", "tag:team"], "invalid_spend_query"),
        (["--filter", "route=nowhere"], "invalid_spend_query"),
        (["--filter", "provider"], "usage"),
        (["--month", "2026-11", "--start", "2026-11-01"], "usage"),
        (["--month", "2026-13"], "usage"),
        (["--granularity", "week"], "usage"),
        (["--granularity", "hour"], "too_many_rows"),
        (["--start", "2026-11-02", "--end", "2026-11-01"], "invalid_spend_query"),
        (["--account", "nobody"], "not_found"),
    ],
)
def test_an_invalid_query_is_an_error_of_one_line(spent, arguments, code):
    assert spent.run("spend", *arguments) == ""
    assert spent.code == 2
    assert spent.errors.startswith(f"error[{code}]: ")
    assert spent.errors.count("\n") == 1
