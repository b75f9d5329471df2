"""The grammar of written numbers: digits, optionally in groups of thousands, optionally with decimals after one mark.

A text that is neither grouped properly nor a fraction is no number: ``1,234,56`` has lost or gained a digit, and ``3.00 4.00``
are two. Groups have three digits and one separator: a comma, a point, a space or an apostrophe. Groups of two, as in
``1,23,456``, are not read: they look the same as a lost digit.
"""

import re
from typing import NamedTuple

MAX_LENGTH = 64
"""No amount or count is written with more characters."""

_SPACES = str.maketrans(dict.fromkeys("\xa0\u2007\u2009\u202f", " ") | {"\u2019": "'"})
_PLAIN = re.compile(r"\d+", re.ASCII)
_SCIENTIFIC = re.compile(r"\d+(?:([.,])\d+)?[eE][+-]?\d{1,2}", re.ASCII)
_SEPARATED = re.compile(r"[1-9]\d{0,2}(?:([ '_])\d{3})(?:\1\d{3})*(?:([.,])\d+)?", re.ASCII)
_BOTH_MARKS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(\.)\d+|[1-9]\d{0,2}(?:\.\d{3})+(,)\d+", re.ASCII)
_GROUPS = re.compile(r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?:\.\d{3})+)", re.ASCII)
_DECIMALS = re.compile(r"\d*[.,]\d+", re.ASCII)
_OTHER = {".": ",", ",": "."}


class WrittenNumber(NamedTuple):
    """A number as it is written, without sign and currency.

    ``shows`` is the decimal mark that its form proves, empty if it proves none. ``open_mark`` is the only mark of a number like
    ``1,234``, which can separate thousands or decimals; empty if it is not such a number.
    """

    text: str
    shows: str = ""
    open_mark: str = ""

    def digits(self, mark: str) -> str:
        """Return the number with a point before the decimals and nothing between groups; ``mark`` precedes its decimals."""
        mark = self.shows or mark
        kept = [mark if each == mark else "" if each in ".,_' " else each for each in self.text]
        return "".join(kept).replace(",", ".")


def read_number(text: str) -> WrittenNumber | None:
    """Read an unsigned number; None if the text is not one."""
    if len(text) > MAX_LENGTH:
        return None
    text = text.translate(_SPACES)
    if _PLAIN.fullmatch(text):
        return WrittenNumber(text)
    if match := _SCIENTIFIC.fullmatch(text) or _BOTH_MARKS.fullmatch(text) or _SEPARATED.fullmatch(text):
        return WrittenNumber(text, next((each for each in match.groups() if each in (".", ",")), ""))
    marks = [each for each in text if each in ".,"]
    if len(marks) > 1:
        return WrittenNumber(text, _OTHER[marks[0]]) if _GROUPS.fullmatch(text) else None
    if not _DECIMALS.fullmatch(text):
        return None
    if _GROUPS.fullmatch(text):
        return WrittenNumber(text, open_mark=marks[0])
    return WrittenNumber(text, marks[0])
