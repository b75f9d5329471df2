"""Alerts, webhook endpoints, and sending deliveries."""
