"""Routes for alerts, webhook endpoints and deliveries."""
