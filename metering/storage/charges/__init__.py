"""The ledger of charges, the rollups, and the sums that spend questions and statements are computed from."""
