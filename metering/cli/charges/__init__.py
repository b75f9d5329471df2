"""Commands for spend, explanations of charges, rating and re-rating."""
