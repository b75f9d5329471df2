"""Credits: grants, the ledger of their movements, and adjustments."""
