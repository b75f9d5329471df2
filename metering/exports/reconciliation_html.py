"""A reconciliation as one HTML page: the bridge as a waterfall, the variances below it. Self-contained, without a script.

The drawing is inline SVG in whole units, so that no amount is ever a float. Where all steps are small beside the totals, the
axis does not begin at zero, and says so.
"""

from html import escape

from metering.domain.instants import MICROS_PER_DAY, format_instant
from metering.domain.reconciliation.causes import Cause, CauseBasis
from metering.domain.reconciliation.descriptions import describe_cause, describe_detail, describe_explanation
from metering.domain.reconciliation.records import Invoice, Reconciliation, ReconciliationReport, Variance
from metering.exports.reconciliation_style import STYLE
from metering.exports.waterfall import Bar, waterfall
from pricing.dollars import display_nano


def reconciliation_html(report: ReconciliationReport, account: str, *, made_at: int) -> str:
    """Return the page."""
    title = f"{account}: does the bill of {report.invoice.biller} agree?"
    body = "".join(
        (
            _header(report, account),
            _cards(report),
            f"<section><h2>From our figure to theirs</h2><figure>{_drawing(report)}</figure></section>",
            _variances(report),
            _footer(report, made_at),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>{body}</main>\n</body>\n</html>\n"
    )


def signed_usd(nano: int, *, plus: bool = False) -> str:
    """Write nano-USD as dollars, exactly, with a true minus sign; ``plus``: with a plus before a positive amount."""
    sign = "\u2212" if nano < 0 else "+" if plus and nano else ""
    return f"{sign}${display_nano(abs(nano))}"


def _header(report: ReconciliationReport, account: str) -> str:
    invoice = report.invoice
    number = f", number {escape(invoice.number)}" if invoice.number else ""
    only = f" ({escape(invoice.provider)} only)" if invoice.provider and invoice.provider != invoice.biller else ""
    return (
        f'<header><p class="eyebrow">Reconciliation {report.run.id}</p><h1>{escape(account)}</h1>'
        f"<p>Invoice {invoice.id} of {escape(invoice.biller)}{only}{number}, {_period(invoice)}, compared by"
        f" {escape(invoice.grain)}. Held against what was metered at {_moment(report.run.run_at)}.</p></header>"
    )


def _cards(report: ReconciliationReport) -> str:
    run, waiting = report.run, report.needs_attention
    difference = report.bridge.difference_nano
    theirs = "Their quantities, at our prices" if run.valued else "Billed there"
    cards = [
        ("Metered here", _large(run.ours_nano), _counted(run.requests, "request"), ""),
        (theirs, _large(run.theirs_nano), _counted(report.invoice.lines, "line"), ""),
        ("Difference", _large(difference, signed=True), _named(report), "even" if not difference else "uneven"),
        ("Found here", _share(run), "of what is billed for usage", ""),
        ("Open", str(len(waiting)), f"beyond {signed_usd(run.tolerance_nano)} tolerated", "bad" if waiting else "good"),
    ]
    return (
        '<section class="cards">'
        + "".join(
            f'<div class="card {kind}"><p>{escape(name)}</p><strong>{value}</strong><p>{escape(remark)}</p></div>'
            for name, value, remark, kind in cards
        )
        + "</section>"
    )


def _large(nano: int, *, signed: bool = False) -> str:
    """Write an amount exactly, with what is finer than cents in small print."""
    text = signed_usd(nano, plus=signed)
    cents = text.index(".") + 3
    return f"{text[:cents]}<small>{text[cents:]}</small>"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _named(report: ReconciliationReport) -> str:
    """Say how much of the difference has a cause."""
    if not report.bridge.steps:
        return "to the nano-dollar"
    unexplained = report.bridge.amount_of(Cause.UNEXPLAINED)
    return f"{signed_usd(unexplained, plus=True)} of it unexplained" if unexplained else "every nano-dollar has a cause"


def _share(run: Reconciliation) -> str:
    if not run.usage_nano:
        return "nothing"
    share = 10_000 * run.matched_nano // run.usage_nano
    return f"{share // 100}.{share % 100:02d} %"


def _drawing(report: ReconciliationReport) -> str:
    run = report.run
    bars = [Bar("Metered here", run.ours_nano, "total", signed_usd(run.ours_nano))]
    for step in report.bridge.steps:
        kind = "unexplained" if step.cause is Cause.UNEXPLAINED else "more" if step.amount_nano >= 0 else "less"
        bars.append(Bar(describe_cause(step.cause), step.amount_nano, kind, signed_usd(step.amount_nano, plus=True)))
    last = "Their quantities, at our prices" if run.valued else "Billed there"
    bars.append(Bar(last, run.theirs_nano, "total", signed_usd(run.theirs_nano)))
    return waterfall(bars, axis=signed_usd)


def _variances(report: ReconciliationReport) -> str:
    if not report.variances:
        return '<section><h2>Variances</h2><p class="none">None: the bill agrees, to the nano-dollar.</p></section>'
    head = "".join(f"<th{' class=n' if right else ''}>{name}</th>" for name, right in _COLUMNS)
    rows = "".join(_row(each) for each in report.variances)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<section><h2>Variances</h2><div class=wide>{table}</div></section>"


_COLUMNS = (("#", True), ("Cause", False), ("About", False), ("Items", True), ("Difference", True), ("State", False))


def _row(each: Variance) -> str:
    detail = f"<br><span class=dim>{escape(describe_detail(each.detail))}</span>" if each.detail else ""
    inferred = ' <span class="tag">inferred</span>' if each.basis == CauseBasis.INFERRED else ""
    fits = [describe_explanation(name) for name in each.alternatives]
    others = "".join(f"<br><span class=dim>fits as well: {escape(words)}</span>" for words in fits)
    session = f"session {each.session}" if each.session else ""
    about = "<br>".join(escape(part) for part in (each.model, each.provider, session) if part)
    tolerated = " <span class=dim>(tolerated)</span>" if each.tolerated and each.state == "open" else ""
    who = "" if each.who == "reconcile" else f"<br><span class=dim>{escape(each.who)}: {escape(each.reason)}</span>"
    return (
        f"<tr><td class=n>{each.id}</td><td>{escape(describe_cause(each.cause))}{inferred}{detail}{others}</td><td>{about}</td>"
        f"<td class=n>{each.items:,}</td><td class=n>{signed_usd(each.amount_nano, plus=True)}</td>"
        f'<td><span class="state {escape(each.state)}">{escape(each.state)}</span>{tolerated}{who}</td></tr>'
    )


def _footer(report: ReconciliationReport, made_at: int) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.invoice.notes)
    return (
        "<footer><p>The steps add up exactly: nothing is rounded away. <em>Inferred</em> causes are the only ones of all that"
        " were tried that fit the amounts; all others are seen in the lines and the log.</p>"
        f"{f'<ul>{notes}</ul>' if notes else ''}"
        f"<p>Document {escape(report.invoice.format)}, SHA-256 <code>{escape(report.invoice.digest)}</code>. Written"
        f" {_moment(made_at)}.</p></footer>"
    )


def _period(invoice: Invoice) -> str:
    return f"{_instant(invoice.start)} until {_instant(invoice.end)}"


def _instant(micros: int) -> str:
    text = format_instant(micros)
    return text[:10] if micros % MICROS_PER_DAY == 0 else text


def _moment(micros: int) -> str:
    return f"{format_instant(micros)[:16].replace('T', ' ')} UTC"
