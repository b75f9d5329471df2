"""The ledger of charges, the rollups, and the sums for spend queries and statements."""
