"""Routes for health, readiness and metrics."""
