"""Manage budgets, evaluate them against spend, and detect unusual hours."""
