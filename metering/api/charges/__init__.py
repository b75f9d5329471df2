"""Routes for spend, explanations and re-rating."""
