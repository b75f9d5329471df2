"""Answers about accounts, plans and API keys."""
