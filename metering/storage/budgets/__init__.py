"""Budgets, their revisions, and the sums they are compared with."""
