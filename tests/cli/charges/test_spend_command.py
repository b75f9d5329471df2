"""``metering spend``: periods, groups, filters, and the table."""

import pytest

from metering.domain.instants import parse_instant
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


def test_spend_can_be_shown_by_hour_without_a_period(spent):
    answer = spent.json("spend", "--by", "none", "--granularity", "hour")
    assert [(row["period_start"], row["events"]) for row in answer["rows"]] == [
        ("2026-11-03T10:00:00.000000Z", 4),
        ("2026-12-01T00:00:00.000000Z", 1),
    ]
    assert "2026-11-03 10:00" not in spent.done("spend", "--granularity", "hour", "--month", "2026-12")


@pytest.fixture
def recent(command_line):
    """Requests an hour, two days, six and a half and eight days before 2026-12-05 12:00, of 1, 2, 3 and 4 thousand tokens."""
    command_line.now = parse_instant("2026-12-05T12:00:00Z")
    times = ["2026-12-05T11:00:00Z", "2026-12-03T12:00:00Z", "2026-11-29T00:00:00Z", "2026-11-27T12:00:00Z"]
    records = [
        request(number, time=time, project=f"p{number}", usage={"input_tokens": number * 1_000})
        for number, time in enumerate(times, 1)
    ]
    command_line.done("ingest", command_line.write_log(records), "--account", "acme")
    return command_line


@pytest.mark.parametrize(
    ("period", "projects"),
    [
        (["--today"], ["p1"]),
        (["--last", "24h"], ["p1"]),
        (["--last", "1h"], ["p1"]),
        (["--last", "2d"], ["p1", "p2"]),
        (["--last", "7d"], ["p1", "p2", "p3"]),
        (["--last", "1w"], ["p1", "p2", "p3"]),
        (["--last", "8D"], ["p1", "p2", "p3", "p4"]),
        (["--last", "9999w"], ["p1", "p2", "p3", "p4"]),
    ],
)
def test_recent_spend(recent, period, projects):
    answer = recent.json("spend", *period, "--by", "project")
    assert [row["group"]["project"] for row in answer["rows"]] == projects


def test_the_title_names_the_recent_period(recent):
    assert recent.done("spend", "--today").splitlines()[0] == "all accounts, 2026-12-05 (today)"
    assert recent.done("spend", "--last", "7d", "--account", "acme").splitlines()[0] == "acme, since 2026-11-28T12:00:00Z"


def test_the_largest_rows_come_first_and_the_total_covers_all(recent):
    def projects(*options):
        return [row["group"]["project"] for row in recent.json("spend", "--by", "project", *options)["rows"]]

    assert projects() == projects("--sort", "period") == ["p1", "p2", "p3", "p4"]
    assert projects("--sort", "usd") == projects("--sort", "tokens") == ["p4", "p3", "p2", "p1"]
    assert projects("--sort", "requests") == ["p1", "p2", "p3", "p4"]
    assert projects("--top", "2") == ["p4", "p3"]
    assert projects("--top", "2", "--sort", "period") == ["p1", "p2"]
    answer = recent.json("spend", "--by", "project", "--top", "1")
    # ten thousand tokens at $1.04 a million
    assert (len(answer["rows"]), answer["total"]["events"], answer["total"]["amount_usd"]) == (1, 4, "0.010400000")
    assert recent.done("spend", "--by", "project", "--top", "1").splitlines()[-1] == "3 more rows, included in the total"
    assert "more row" not in recent.done("spend", "--by", "project", "--top", "4")


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
        (["--today", "--month", "2026-11"], "usage"),
        (["--last", "7d", "--start", "2026-11-01"], "usage"),
        (["--today", "--last", "7d"], "usage"),
        (["--last", "7"], "usage"),
        (["--last", "0d"], "usage"),
        (["--last", "7m"], "usage"),
        (["--top", "0"], "usage"),
        (["--sort", "name"], "usage"),
        (["--last", "7d", "--period-basis", "billing"], "invalid_spend_query"),
        (["--start", "2026-11-02", "--end", "2026-11-01"], "invalid_spend_query"),
        (["--account", "nobody"], "not_found"),
    ],
)
def test_an_invalid_query_is_an_error_of_one_line(spent, arguments, code):
    assert spent.run("spend", *arguments) == ""
    assert spent.code == 2
    assert spent.errors.startswith(f"error[{code}]: ")
    assert spent.errors.count("\n") == 1
