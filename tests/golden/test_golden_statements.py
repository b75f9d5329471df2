"""The worked examples, from ingested events to the statement. Figures are worked out by hand."""

from support.month_of_llama import a_million_tokens_a_day, amounts, request


def test_example_1_a_pro_account_pays_its_usage_less_two_dollars_and_the_fee(command_line):
    log = command_line.write_log(a_million_tokens_a_day("2026-11"))
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    statement = command_line.json("statements", "show", "acme", "2026-11")
    assert amounts(statement) == [
        ("usage", "27.000000000000"),
        ("subscription", "9.000000000000"),
        ("credit", "-2.000000000000"),
        ("residual", "0.000000000000"),
        ("total", "34.000000000000"),
    ]
    assert statement["usage_payable_usd"] == "25.000000000"
    assert "beyond_plan" not in statement["flags"]
    command_line.done("verify")


def test_example_2_the_same_on_the_free_plan_of_september_is_beyond_the_plan(command_line):
    log = command_line.write_log(a_million_tokens_a_day("2026-09"))
    command_line.done("ingest", log, "--account", "acme")
    statement = command_line.json("statements", "show", "acme", "2026-09")
    assert (statement["usage_usd"], statement["credits_usd"]) == ("27.000000000", "0.100000000")
    assert (statement["total_usd"], "beyond_plan" in statement["flags"]) == ("26.90", True)


def test_example_3_ten_seconds_of_compute_on_hf_inference(command_line):
    record = {
        "id": "flux",
        "time": "2026-11-03T10:00:00Z",
        "model": "black-forest-labs/FLUX.1-dev",
        "provider": "hf-inference",
        "operation": "image_generation",
        "status": 200,
        "usage": {"images": 1, "compute_ms": 10_000},
    }
    command_line.done("ingest", command_line.write_log([record]), "--account", "acme")
    total = command_line.json("spend", "--month", "2026-11")["total"]
    assert total["amount_nano_usd"] == 1_200_000
    assert command_line.json("statements", "show", "acme", "2026-11")["usage_nano_usd"] == 1_200_000


def test_example_6_a_team_pools_the_credits_of_its_seats_and_a_partial_month_costs_its_days(command_line):
    for name in ("team", "late"):
        command_line.done("accounts", "create", name)
    command_line.done("accounts", "set-plan", "team", "team", "--from", "2026-11-01", "--seats", "5")
    command_line.done("accounts", "set-plan", "late", "pro", "--from", "2026-11-16")
    assert command_line.json("credits", "show", "team", "2026-11")["included_usd"] == "10.000000000"
    late = command_line.json("statements", "show", "late", "2026-11")
    assert (late["subscription_usd"], late["total_usd"]) == ("4.50", "4.50")
    assert command_line.json("credits", "show", "late", "2026-11")["included_usd"] == "2.000000000"


def test_example_9_the_rounding_of_requests_is_a_separate_line(command_line):
    sheet = command_line.folder / "cheap.yaml"
    sheet.write_text(
        "source: a test\nroute: any\ncurrency: USD\nprovider: together\nmodels:\n  - model: cheap\n    versions:\n"
        "      - from: 2026-01-01\n        usd_per_million: {input_tokens: 0.0375}\n        source: a test\n"
    )
    command_line.done("db", "upgrade")
    command_line.done("prices", "import", sheet)
    records = [request(number, "2026-11-03T10:00:00Z", input_tokens=1) | {"model": "cheap"} for number in range(3)]
    command_line.done("ingest", command_line.write_log(records), "--account", "acme")
    statement = command_line.json("statements", "show", "acme", "2026-11")
    assert statement["usage_nano_usd"] == 114
    assert amounts(statement)[:2] == [("usage", "0.000000112500"), ("rounding", "0.000000001500")]
