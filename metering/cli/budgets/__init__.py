"""Commands for budgets."""
