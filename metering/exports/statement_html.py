"""A statement as one page of HTML to be read and printed: no scripts, nothing fetched, every name escaped."""

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files

from metering.domain.statements.month_detail import MonthDetail
from metering.exports.printed_statement import CLOSING_WORDS, Bill, BillRow, ModelRows, OutsideRow, bill_of
from pricing.dollars import with_dollar_sign

_STYLE = files("metering.exports").joinpath("statement.css").read_text(encoding="utf-8")
_USAGE_HEAD = (
    '<thead><tr><th>Item</th><th class="n">Quantity</th><th class="n">Price</th><th class="n">Rate</th>'
    '<th class="a" colspan="2">USD</th></tr></thead>'
)
_OUTSIDE_HEAD = (
    '<thead><tr><th>Provider</th><th>Model</th><th class="n">Requests</th><th class="n">Tokens</th>'
    '<th class="a" colspan="2">USD</th></tr></thead>'
)


def statement_html(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as a page."""
    for part in _page(bill_of(detail.statement)):
        yield part.encode()


def _page(bill: Bill) -> Iterator[str]:
    title = f"{bill.account}, {bill.month}"
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Statement of {escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n"
        f"<body{' class=draft' if bill.is_draft else ''}>\n<main>\n"
    )
    yield from _head(bill)
    if bill.usage:
        yield '<table class="usage">\n' + _USAGE_HEAD
        yield from map(_model, bill.usage)
        yield _sum("Usage", bill.usage_amount)
    yield '<table class="others">\n<tbody>\n'
    for heading, rows in bill.others:
        yield from (_other(heading, row) for row in rows)
    total = f'<th colspan="2">Total payable</th><td class="total" colspan="2">{escape(bill.total)}</td>'
    yield f"</tbody>\n<tfoot><tr>{total}</tr></tfoot>\n</table>\n"
    yield from _beside(bill)
    yield from _foot(bill)
    yield "</main>\n</body>\n</html>\n"


def _head(bill: Bill) -> Iterator[str]:
    state = "Draft: it still changes" if bill.is_draft else f"Closed {escape(bill.closed)}"
    digest = (
        f'<div class="wide"><dt>Digest (SHA-256)</dt><dd class="digest">{escape(bill.digest)}</dd></div>' if bill.digest else ""
    )
    wide = f'<div class="wide">{digest}</div>'
    yield (
        f'<header>\n<div><p class="kind">Statement</p><h1>{escape(bill.account)}</h1>'
        f'<p class="month">{escape(bill.month)}</p></div>\n'
        f'<p class="due"><span>Total payable</span><strong>{escape(bill.total)}</strong></p>\n</header>\n'
        f'<dl class="facts"><div><dt>Status</dt><dd>{state}</dd></div><div><dt>Period</dt><dd>{escape(bill.period)}</dd></div>'
        f"<div><dt>Plan</dt><dd>{escape(bill.plan)}</dd></div>{wide if bill.digest else ''}</dl>\n"
    )
    figures = "".join(f"<div><dt>{escape(name)}</dt><dd>{_figure(amount)}</dd></div>" for name, amount in bill.summary)
    yield f'<dl class="summary">{figures}<div class="last"><dt>Total</dt><dd>{escape(bill.total)}</dd></div></dl>\n'


def _model(model: ModelRows) -> str:
    rows = "".join(map(_usage_row, model.rows))
    return (
        f'<tbody><tr class="model"><th colspan="4">{escape(model.model)} <span>at {escape(model.provider)}</span></th>'
        f"{_amount(model.amount)}</tr>\n{rows}</tbody>\n"
    )


def _usage_row(row: BillRow) -> str:
    return (
        f'<tr><td class="item">{escape(row.what)}{_correction(row)}</td><td class="n">{escape(row.quantity)}</td>'
        f'<td class="n">{escape(row.price)}</td><td class="n rate">{escape(row.rate)}</td>{_amount(row.amount)}</tr>\n'
    )


def _sum(name: str, amount: str) -> str:
    return f'<tbody class="sum"><tr><th colspan="4">{name}</th>{_amount(amount)}</tr></tbody>\n</table>\n'


def _other(heading: str, row: BillRow) -> str:
    return f"<tr><th>{escape(heading)}</th><td>{escape(row.what)}{_correction(row)}</td>{_amount(row.amount)}</tr>\n"


def _correction(row: BillRow) -> str:
    return f' <em class="corrects">{escape(row.corrects)}</em>' if row.corrects else ""


def _amount(amount: str) -> str:
    """Return two cells, so that decimal points stand below each other; past cents the digits are lighter."""
    whole, point, decimals = amount.partition(".")
    if not point:
        return f'<td class="a" colspan="2">{escape(amount)}</td>'
    return f'<td class="w">{escape(whole)}.</td><td class="f">{decimals[:2]}{_fine(decimals)}</td>'


def _figure(amount: str) -> str:
    whole, point, decimals = with_dollar_sign(amount).partition(".")
    return f"{escape(whole)}{point}{decimals[:2]}{_fine(decimals)}"


def _fine(decimals: str) -> str:
    return f"<i>{decimals[2:]}</i>" if decimals[2:] else ""


def _beside(bill: Bill) -> Iterator[str]:
    """Yield what the total does not contain."""
    if bill.owed:
        yield '<section class="beside"><h2>Owed to partners <span>on your own keys with them, not in the total</span></h2>\n'
        yield '<table class="usage">\n' + _USAGE_HEAD
        yield from map(_model, bill.owed)
        yield _sum("Owed to partners", bill.owed_amount) + "</section>\n"
    yield from _outside("Usage without a price", "not in the total", bill.unpriced)
    yield from _outside("Usage that nobody is known to bill", "not in the total", bill.route_unknown)


def _outside(title: str, remark: str, rows: Iterable[OutsideRow]) -> Iterator[str]:
    shown = "".join(
        f'<tr><td>{escape(row.provider)}</td><td>{escape(row.model)}</td><td class="n">{escape(row.requests)}</td>'
        f'<td class="n">{escape(row.tokens)}</td>{_amount(row.amount)}</tr>\n'
        for row in rows
    )
    if shown:
        yield f'<section class="beside"><h2>{title} <span>{remark}</span></h2>\n<table class="outside">\n{_OUTSIDE_HEAD}<tbody>'
        yield f"{shown}</tbody>\n</table></section>\n"


def _foot(bill: Bill) -> Iterator[str]:
    notes = "".join(f"<li>{escape(note)}</li>" for note in bill.notes)
    yield f"<footer><p>{escape(bill.requests)}</p>{f'<ul>{notes}</ul>' if notes else ''}\n"
    if bill.rates:
        rates = "".join(f"<li><b>{escape(number)}</b> {escape(source)}</li>" for number, source in bill.rates)
        yield f'<h2>Where the prices were read <span>by rate</span></h2><ol class="rates">{rates}</ol>\n'
    yield f"<p>{CLOSING_WORDS}</p></footer>\n"
