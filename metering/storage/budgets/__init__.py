"""Budgets, their revisions, and the spend they are compared with."""
