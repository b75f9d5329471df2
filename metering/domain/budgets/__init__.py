"""Budgets: terms, periods, state, forecasts, and unusual hours."""
