"""Spend, explanations of charges, unpriced usage, rating and re-rating."""
