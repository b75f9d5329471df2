"""Grants, the ledger of credits, adjustments, and alerts about credits."""
