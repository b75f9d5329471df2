"""Alerts and webhooks: alert types, endpoints, deliveries, messages, signatures and retries."""
