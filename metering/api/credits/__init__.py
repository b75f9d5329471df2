"""Routes for credits and adjustments."""
