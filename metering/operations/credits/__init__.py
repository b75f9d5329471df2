"""Granting and voiding credits, the credit ledger, adjustments, and alerts about credits."""
