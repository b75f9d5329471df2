"""Their bill -> invoice lines, one kind of document a file. Pure: bytes in, lines out, read as a stream where the kind allows.

Owns how a bill is spelt: units of money, decimal marks, names of columns. What a line is belongs to the domain, keeping it to
storage.
"""

FORMATS = ("hf-usage", "hf-sessions", "hf-billing", "fireworks-csv", "fal-events", "csv", "json", "total")
"""The names of the kinds of documents; ``detect`` has the reader of each."""
