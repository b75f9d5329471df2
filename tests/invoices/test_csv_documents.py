"""CSV as spreadsheets and billing pages write it: what stands above and between the rows, columns, times, refunds."""

import pytest

from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_DAY
from metering.domain.reconciliation.invoices import InvoiceError
from metering.invoices.line_fields import read_column_map
from support.bill_documents import COLUMNS, HEAD, read_document
from support.builders import instant

ROW = "2026-11-03,m/one,77.15\n"
NOVEMBER_3 = instant("2026-11-03T00:00:00Z") // MICROS_PER_DAY


def read(content, **options):
    return read_document(content, **{"columns": COLUMNS} | options)


def error_of(content, **options):
    with pytest.raises(InvoiceError) as error:
        read(content, **options)
    return error.value.code, str(error.value)


@pytest.mark.parametrize(
    "above",
    [
        "\n",
        "\r\n\r\n",
        "  \n",
        ",,\n",
        "sep=,\n",
        '"sep=,"\n',
        "SEP=,\r\n",
        "sep=,,,\n",
        "\n\nsep=,\n\n",
        "\ufeff",
        "\ufeffsep=,\n",
        "\ufeff\n",
    ],
)
def test_what_spreadsheets_write_above_the_header_is_no_header(above):
    _, [line] = read(above + HEAD + ROW)
    assert (line.day, line.model, line.amount_nano) == (NOVEMBER_3, "m/one", 77_150_000_000)
    assert line.position == 2 + above.count("\n")


def test_a_named_separator_decides_over_the_most_frequent_one():
    _, [line] = read("sep=;\nDay;Model;Cost;a,b,c,d\n2026-11-03;m/one;77.15;x\n")
    assert (line.model, line.amount_nano) == ("m/one", 77_150_000_000)


def test_headers_that_a_page_break_repeats_are_named_and_no_rows():
    head, lines = read(HEAD + ROW + "\n" + HEAD + ROW.replace("03", "04") + HEAD)
    assert len(lines) == 2
    assert head.notes == ["left out because they repeat the header: lines 4, 6"]


@pytest.mark.parametrize("header", ["Day,Model,Cost,Cost", "Day,Model,Cost,COST", "Cost,Day,Model, cost "])
def test_a_mapped_column_that_is_there_twice_is_refused(header):
    code, message = error_of(f"{header}\n2026-11-03,m,1,2\n")
    assert code == "duplicate_column"
    assert "2 columns named 'Cost'" in message


def test_a_column_named_like_a_field_that_is_there_twice_is_refused_and_another_is_not():
    assert error_of("date,amount,amount\n2026-11-03,1,2\n", columns={})[0] == "duplicate_column"
    assert len(read("Day,Model,Cost,x,x\n2026-11-03,m,1,2,3\n")[1]) == 1


def test_one_field_cannot_be_two_columns():
    with pytest.raises(DomainError, match="two columns for amount"):
        read_column_map(["amount=Cost", "amount=Price"])


@pytest.mark.parametrize(
    "time",
    [
        "1793664000",
        "1793707200",
        "1793664000000",
        "1793664000.5",
        "1793664000000000",
        "1793664000000000000",
        "20261103",
        "2026-11-03",
    ],
)
def test_times_since_1970_are_days_whatever_their_unit(time):
    _, [line] = read(HEAD + f"{time},m,1.00\n")
    assert line.day == NOVEMBER_3


@pytest.mark.parametrize("time", ["46327", "0", "17936640", "11/03/2026", "1793664000x", "99999999999999999999"])
def test_a_number_that_is_no_time_is_refused(time):
    assert error_of(HEAD + f"{time},m,1.00\n")[0] == "invalid_invoice"


def test_a_refund_states_negative_quantities_and_nothing_else_does():
    rows = "2026-11-03,m,3.00,3000,3\n2026-11-03,m,-1.00,-1000,-1\n2026-11-03,n,0.00,-5,\n"
    _, lines = read(f"date,model,amount,input_tokens,requests\n{rows}", columns={})
    assert [(line.amount_nano, dict(line.quantities), line.requests, line.is_refund) for line in lines] == [
        (3_000_000_000, {"input_tokens": 3000}, 3, False),
        (-1_000_000_000, {"input_tokens": -1000}, -1, True),
        (0, {"input_tokens": -5}, None, True),
    ]
    for row in ("1.00,-5,", "1.00,5,-1", ",-5,"):
        code, message = error_of(f"date,model,amount,input_tokens,requests\n2026-11-03,m,{row}\n", columns={})
        assert (code, "line 2" in message, "refund" in message) == ("invalid_invoice", True, True)


@pytest.mark.parametrize(
    ("amounts", "nano"),
    [
        (["1,234", "0,50"], [1_234_000_000, 500_000_000]),
        (["1,234", "12.50"], [1_234_000_000_000, 12_500_000_000]),
        (["1.234", "12,50"], [1_234_000_000_000, 12_500_000_000]),
        (["5", "1,234", "1,234,567"], [5_000_000_000, 1_234_000_000_000, 1_234_567_000_000_000]),
    ],
)
def test_an_open_amount_is_read_as_later_ones_show(amounts, nano):
    rows = "".join(f"2026-11-0{at};m;{each}\n" for at, each in enumerate(amounts, start=1))
    assert [line.amount_nano for line in read("Day;Model;Cost\n" + rows)[1]] == nano
    lines = "\n".join(f'{{"date": "2026-11-0{at}", "amount": "{each}"}}' for at, each in enumerate(amounts, start=1))
    assert [line.amount_nano for line in read(lines, columns={})[1]] == nano


def test_an_amount_that_stays_open_is_refused_or_named():
    assert "name the decimal mark" in error_of("Day;Model;Cost\n2026-11-01;m;1,234\n2026-11-02;m;2,500\n")[1]
    head, lines = read("Day;Model;Cost\n2026-11-01;m;1.234\n2026-11-02;m;2.500\n")
    assert [line.amount_nano for line in lines] == [1_234_000_000, 2_500_000_000]
    assert head.notes == [
        "amounts such as 1.234 are read with a decimal point; if it separates thousands, name the decimal mark"
    ]
    head, [line] = read_document("1.234")
    assert (line.amount_nano, "decimal point" in head.notes[0]) == (1_234_000_000, True)


@pytest.mark.parametrize(
    "content",
    [
        HEAD + '2026-11-01,"m' + "x\n" * 200_000,
        HEAD + '"\n' + '","\n' * 200_000,
        "," * 200_000 + "\n",
        HEAD + "2026-11-01,m,1" + "," * 200_000,
        HEAD + "2026-11-01,m," + "1" * 60_000 + "\n",
    ],
    ids=["unclosed quote", "cells over many lines", "columns", "a wide row", "a long amount"],
)
def test_a_hostile_document_is_refused_within_a_row(content):
    assert error_of(content)[0] in ("invalid_invoice", "missing_column", "empty_file", "unknown_invoice_format")
