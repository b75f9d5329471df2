"""Spend queries, explanations of charges, rating and re-rating, sums of the ledger, quoted prices."""
