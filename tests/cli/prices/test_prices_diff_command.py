"""``metering prices diff``: the prices of each list that differ between two instants."""

import pytest

from support.request_records import LLAMA

SHEET = """\
source: our contract
route: [routed, provider_key]
currency: USD
provider: together
models:
  - model: own-model
    versions:
      - from: 2026-12-01
        usd_per_million: {input_tokens: 3, output_tokens: 4}
        source: the contract
      - from: 2026-12-02
        usd_per_million: {input_tokens: 2, output_tokens: 4}
        source: the contract
      - from: 2026-12-03
        withdrawn: true
        source: the contract
"""


@pytest.fixture
def contracted(command_line):
    command_line.done("db", "upgrade")
    command_line.done("accounts", "create", "acme")
    command_line.now += 1_000_000
    path = command_line.folder / "contract.yaml"
    path.write_text(SHEET)
    command_line.done("prices", "import", path, "--account", "acme")
    return command_line


def changes(command_line, start, end, *arguments):
    found = []
    for each in command_line.json("prices", "diff", "--start", start, "--end", end, *arguments)["items"]:
        before, after = ((each[side] or {}).get("price_usd") for side in ("before", "after"))
        found.append((each["route"], each["model"], each["quantity"], each["kind"], before, after))
    return found


def test_two_prices_of_one_model_change_in_october(contracted):
    raised = ("raised", "0.000000880000", "0.000001040000")
    assert changes(contracted, "2026-10-18T23:59:59.999999Z", "2026-10-19", "--provider", "together") == [
        ("routed", LLAMA, "input_tokens", *raised),
        ("routed", LLAMA, "output_tokens", *raised),
    ]
    text = contracted.done("prices", "diff", "--from", "2026-10-18", "--to", "2026-10-19")
    assert "$0.88 / 1M  $1.04 / 1M" in text and "2 prices of 1 model differ" in text


def test_an_accounts_own_prices_are_compared_if_it_is_named(contracted):
    assert changes(contracted, "2026-11-30", "2026-12-01") == []
    own = [each for each in changes(contracted, "2026-12-01", "2026-12-02", "--account", "acme") if each[0] == "routed"]
    assert own == [("routed", "own-model", "input_tokens", "lowered", "0.000003000000", "0.000002000000")]
    gone = changes(contracted, "2026-12-02", "2026-12-03", "--account", "acme", "--source", "our contract")
    assert [(route, kind, after) for route, _, quantity, kind, _, after in gone if quantity == "input_tokens"] == [
        ("provider_key", "withdrawn", None),
        ("routed", "withdrawn", None),
    ]


def test_a_price_that_changed_and_changed_back_does_not_differ(contracted):
    assert changes(contracted, "2026-11-30", "2026-12-03", "--account", "acme") == []
    assert contracted.done("prices", "diff", "--from", "2026-11-30", "--to", "2026-12-03") == "no prices differ\n"


def test_prices_recorded_later_are_not_compared_with_known_at(contracted):
    compared = ("2026-11-30", "2026-12-01", "--account", "acme")
    assert len(changes(contracted, *compared)) == 4
    assert changes(contracted, *compared, "--known-at", "2026-12-05T12:00:00Z") == []


def test_a_comparison_that_ends_before_it_starts_is_refused(contracted):
    contracted.run("prices", "diff", "--from", "2026-12-02", "--to", "2026-12-01")
    assert (contracted.code, contracted.errors.startswith("error[invalid_request]: the start of")) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        (("--source", "nope"), "no price list is called 'nope'\n"),
        (("--source", "HF_Router"), "no price list is called 'HF_Router'; did you mean 'hf_router'?\n"),
        (("--provider", "nope"), "no price list has the provider 'nope'\n"),
        (("--source", "hf_router", "--provider", "together"), ""),
    ],
)
def test_a_name_that_no_list_has_is_a_warning(contracted, arguments, warning):
    period = ("--from", "2020-01-01", "--to", "2020-01-02")
    assert contracted.done("prices", "diff", *period, *arguments) == "no prices differ\n"
    assert contracted.errors == warning
    assert contracted.json("prices", "diff", *period, *arguments)["items"] == []
    assert contracted.errors == warning
