"""Budgets: managing them, comparing them with spend, unusual hours."""
