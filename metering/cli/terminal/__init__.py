"""How commands write: tables, amounts, text and JSON."""
