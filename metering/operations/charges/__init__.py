"""What usage costs: spend, explanations, unpriced usage, re-rating."""
