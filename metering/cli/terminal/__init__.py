"""How commands write: tables, amounts, plain text and JSON."""
