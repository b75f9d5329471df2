"""Closed statements, closed months, adjustments, and the ledger of credits."""
