"""Alerts, webhook endpoints, their secrets, and the outbox of deliveries."""
