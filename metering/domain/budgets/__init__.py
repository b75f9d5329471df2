"""Budgets: limits, periods, how a budget stands, forecasts and unusual hours."""
