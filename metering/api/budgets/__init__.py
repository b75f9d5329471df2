"""Routes for budgets."""
