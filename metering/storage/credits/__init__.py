"""Credit grants, the ledger of credit entries, and adjustments."""
