"""Documents -> invoice lines, one format per file. Pure: bytes in, lines out, read as a stream where the format allows it.

Owns how invoices are spelled: units of money, decimal marks, names of columns. The domain owns what a line means, and storage
where it is kept.
"""

FORMATS = ("hf-usage", "hf-sessions", "hf-billing", "fireworks-csv", "fal-events", "csv", "json", "total")
"""The names of the formats; ``detect`` has the reader of each."""
