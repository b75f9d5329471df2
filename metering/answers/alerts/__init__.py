"""Answers about alerts, webhook endpoints and deliveries."""
