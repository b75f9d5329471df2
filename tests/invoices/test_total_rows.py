"""Rows that are the sum of others bill nothing: they are left out and named, or the document is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.reconciliation.invoices import InvoiceError
from support.bill_documents import COLUMNS, HEAD, read_document

THREE = HEAD + "2026-11-01,m/one,812.40\n2026-11-02,m/two,77.15\n2026-11-03,m/one,0.03\n"
SUM = "889.58"


def billed(text, **options):
    """Return the amounts of the lines, in cents, and the line numbers of the rows that were left out."""
    head, lines = read_document(text, **{"columns": COLUMNS} | options)
    return [line.amount_nano // 10_000_000 for line in lines], [row.line for row in head.excluded]


def refused(text, **options):
    with pytest.raises(InvoiceError) as error:
        billed(text, **options)
    assert error.value.code == "ambiguous_total_rows"
    return str(error.value)


LABELS = [
    "Total", "TOTAL", "total:", "Grand Total", "Sub-total", "Subtotal", "Total (USD)", "November Total", "Summe", "Gesamtsumme",
    "Gesamt", "Zwischensumme", "Totale", "Total g\u00e9n\u00e9ral", "Sous-total", "Suma", "Soma", "Totaal", "Razem", "Celkem",
    "\u0418\u0442\u043e\u0433\u043e", "\u5408\u8ba1", "\u5408\u8a08", "\ud569\uacc4", "Toplam", "Amount due",
]  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("row", ["{},,", ",{},", "2026-11-30,{},"])
def test_a_labeled_sum_is_left_out_in_any_language_and_column(label, row):
    assert billed(f"{THREE}{row.format(label)}{SUM}\n") == ([81240, 7715, 3], [5])


def test_the_reason_names_the_label_and_the_number_of_lines():
    head, _ = read_document(f"{THREE},Total,{SUM}\n", columns=COLUMNS)
    assert [(row.line, row.amount_nano, row.reason) for row in head.excluded] == [
        (5, 889_580_000_000, "labeled 'Total', and the sum of 3 lines")
    ]


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [
        ("2026-11-01,m,1.11\n2026-11-01,Subtotal,1.11\n2026-11-02,m,2.22\n2026-11-02,Subtotal,2.22\n,Total,3.33\n", [3, 5, 6]),
        ("2026-11-01,m,1.11\n2026-11-01,n,2.22\n2026-11-01 Total,,3.33\n2026-11-02,m,4.44\n2026-11-02 Total,,4.44\n"
         "Grand Total,,7.77\n", [4, 6, 7]),
        ("2026-11-01,m,1.11\n,Running total,1.11\n2026-11-01,n,2.22\n,Running total,3.33\n", [3, 5]),
        ("2026-11-01,m,1.11\n2026-11-01,n,2.22\n2026-11-02,m,4.44\n,m Total,5.55\n,Total: n,2.22\nTotal,m,5.55\n", [5, 6, 7]),
        (",Total,3.33\n2026-11-01,m,1.11\n2026-11-02,m,2.22\n", [2]),
        ("Subtotal,,3.33\n2026-11-01,m,1.11\n2026-11-01,n,2.22\nSubtotal,,4.44\n2026-11-02,m,4.44\n", [2, 5]),
        ("2026-11-01,m,1.1111\n2026-11-02,m,2.2222\n,Total,3.33\n", [4]),
        ("2026-11-01,m,1.11\n2026-11-02,m,-0.50\n,Total,0.61\n", [4]),
    ],
    ids=["by day", "outline", "running", "by model", "above", "subtotals above", "rounded", "after a refund"],
)  # fmt: skip
def test_subtotals_at_every_level_are_left_out(rows, left_out):
    assert billed(HEAD + rows)[1] == left_out


def test_a_bare_sum_needs_no_label_but_another_amount_does_not_become_one():
    assert billed(f"{THREE},,{SUM}\n") == ([81240, 7715, 3], [5])
    assert billed(f"{THREE},,5.00\n") == ([81240, 7715, 3, 500], [])


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (f"{THREE},Whatever,{SUM}\n", 5),
        (f"{THREE}2026-11-30,,{SUM}\n", 5),
        (f"{THREE}2026-11-04,m/two,{SUM}\n", 5),
        (f"{THREE},Total,900.00\n", 5),
        (f"{THREE},,889.57\n", 5),
        (f"{HEAD}2026-11-01,m,4.17\n,,4.17\n", 3),
    ],
    ids=["unknown label", "no model", "a complete row", "another amount", "off by rounding", "one line"],
)
def test_a_doubtful_row_is_asked_about_and_never_dropped_in_silence(rows, line):
    message = refused(rows)
    assert message.startswith(f"line {line}, ")
    assert "--total-rows exclude or keep" in message
    assert billed(rows, total_rows="exclude")[1] == [line]
    assert billed(rows, total_rows="keep")[1] == []


def test_a_row_that_only_resembles_a_sum_is_billed():
    assert billed(HEAD + "2026-11-01,m,5.12\n2026-11-02,m,5.12\n") == ([512, 512], [])
    assert billed(HEAD + "2026-11-01,m,1.00\n2026-11-02,m,2.00\n2026-11-03,m,3.00\n") == ([100, 200, 300], [])
    assert billed(HEAD + "2026-11-01,total-llm/7b,1.23\n2026-11-02,subtotaler,4.56\n") == ([123, 456], [])
    head, lines = read_document("request_id,amount\nr1,1.23\nr2,4.56\nr3,5.79\n")
    assert (len(lines), head.excluded) == (3, [])


def test_with_keep_nothing_is_left_out():
    assert billed(f"{THREE},Total,{SUM}\n", total_rows="keep") == ([81240, 7715, 3, 88958], [])


def test_a_document_that_states_nothing_but_a_total_is_that_total():
    assert billed(HEAD + ",Total,34.00\n") == ([3400], [])


def test_a_label_in_a_column_that_is_not_mapped_counts_where_the_row_states_less():
    head = "Day,What,Model,Cost\n"
    rows = "2026-11-01,chat,m,1.11\n2026-11-02,chat,m,2.22\n"
    assert billed(f"{head}{rows},Total,,3.33\n") == ([111, 222], [4])
    assert billed(head + rows.replace("chat", "Total usage")) == ([111, 222], [])


def test_a_total_of_requests_has_no_request_and_a_total_of_tokens_has_no_amount():
    head, lines = read_document("request_id,amount\nr1,1.23\nr2,4.56\nTotal,5.79\n")
    assert ([line.request_id for line in lines], [row.line for row in head.excluded]) == (["r1", "r2"], [4])
    head, lines = read_document("date,model,input_tokens\n2026-11-01,m,10\n2026-11-02,m,20\n,Total,30\n")
    assert ([line.quantities for line in lines], head.excluded[0].amount_nano) == (
        [{"input_tokens": 10}, {"input_tokens": 20}],
        None,
    )


def test_totals_in_json_are_left_out_too():
    text = '[{"model":"m","amount":"1.11"},{"model":"n","amount":"2.22"},{"model":"Total","amount":"3.33"}]'
    head, lines = read_document(text)
    assert ([line.model for line in lines], [row.line for row in head.excluded]) == (["m", "n"], [3])


cents = st.integers(1_00, 10**9)


@given(amounts=st.lists(cents, min_size=2, max_size=20), subtotals=st.sets(st.integers(0, 19)))
def test_whatever_subtotals_and_totals_are_added_the_lines_stay_the_same(amounts, subtotals):
    rows, block = [], 0
    for at, amount in enumerate(amounts):
        rows.append(f"2026-11-01,m/{at},{amount // 100}.{amount % 100:02d}")
        block += amount
        if at in subtotals:
            rows.append(f",Subtotal,{block // 100}.{block % 100:02d}")
            block = 0
    total = sum(amounts)
    rows.append(f",Total,{total // 100}.{total % 100:02d}")
    assert billed(HEAD + "\n".join(rows) + "\n")[0] == amounts


@given(amounts=st.lists(cents, min_size=1, max_size=12))
def test_no_line_of_a_plain_bill_is_dropped_in_silence(amounts):
    text = HEAD + "".join(f"2026-11-01,m/{at},{each // 100}.{each % 100:02d}\n" for at, each in enumerate(amounts))
    try:
        found = billed(text)
    except InvoiceError as error:
        assert error.code == "ambiguous_total_rows"
        assert amounts[-1] == sum(amounts[:-1])
    else:
        assert found == (amounts, [])
