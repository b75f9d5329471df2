"""Answers about spend, explanations of charges, rating and re-rating."""
