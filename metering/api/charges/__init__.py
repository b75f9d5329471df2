"""Routes for spend, explanations of charges and re-rating."""
