"""Words that label a row as the sum of others: ``Total``, ``Subtotal``, ``Zwischensumme``, ``2026-11-01 Total``.

A label alone decides nothing: whether the row is a sum is a matter of arithmetic (``total_rows``).
"""

import re

_WORDS = (
    # English
    "totals?", "sub[- ]?totals?", "grand[- ]totals?", "running[- ]totals?", "sum", "overall", "amount due", "balance due",
    # German, Dutch, Scandinavian, Finnish
    "(?:zwischen|gesamt|end|teil)?summe", "gesamt(?:betrag|kosten|ergebnis|preis)?", "insgesamt", "(?:teil)?ergebnis",
    "(?:sub)?totaal", "(?:del)?summa", "(?:del)?sum", "i alt", "totalt", "(?:väli)?summa", "yhteensä",
    # French, Spanish, Catalan, Portuguese, Italian, Romanian
    "(?:sous[- ]?)?total(?: général| general| geral| generale)?", "(?:sub)?totaux", "somme", "montant total", "suma",
    "(?:suma|monto|importe|valor) total", "soma", "(?:sub)?totale(?: complessivo)?", "somma", "importo totale",
    # Polish, Czech, Hungarian, Turkish, Russian, Ukrainian, Greek
    "razem", "łącznie", "ogółem", "celkem", "součet", "mezisoučet", "spolu", "összesen", "részösszeg", "(?:ara |genel )?toplam",
    "итого", "всего", "промежуточный итог", "разом", "усього", "σύνολο", "μερικό σύνολο",
    # Chinese, Japanese, Korean, Hindi, Arabic, Hebrew, Vietnamese, Indonesian
    "总计", "合计", "小计", "總計", "合計", "小計", "総計", "合計金額", "총계", "합계", "소계", "कुल", "الإجمالي", "المجموع",
    "סה\"כ", "tổng(?: cộng)?", "jumlah",
)  # fmt: skip
_LABEL = "|".join(sorted(_WORDS, key=len, reverse=True))
_AT_START = re.compile(rf"\W*(?:{_LABEL})(?=$|[\s:=(\uff08\uff1a])", re.IGNORECASE)
_AT_END = re.compile(rf"(?:^|\s)(?:{_LABEL})\W*$", re.IGNORECASE)
_MAX_LENGTH = 80


class LabelReader:
    """Finds labels, and remembers in ``plain`` the texts that are none: most texts of a document repeat."""

    def __init__(self) -> None:
        self.plain: set[str] = set()

    def is_label(self, text: str) -> bool:
        """Return whether a text labels a row as a sum."""
        if text in self.plain or not text:
            return False
        if len(text) <= _MAX_LENGTH and not text[0].isdigit() and _AT_START.match(text):
            return True
        if len(text) <= _MAX_LENGTH and not text[-1].isdigit() and _AT_END.search(text):
            return True
        if len(self.plain) < _MAX_PLAIN:
            self.plain.add(text)
        return False


def without_label(text: str) -> str:
    """Return what a label is about: ``m/one`` for ``m/one Total`` and ``Total: m/one``; empty if it states nothing more."""
    for pattern in (_AT_START, _AT_END):
        match = pattern.search(text)
        if match is not None:
            return (text[: match.start()] + text[match.end() :]).strip(" \t:=()-").casefold()
    return text.casefold()


_MAX_PLAIN = 50_000
