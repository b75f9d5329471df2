"""Spend questions and their answers, quoted prices, and what a re-rating changes."""
