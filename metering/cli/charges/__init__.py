"""Commands for spend, explanations, rating and re-rating."""
