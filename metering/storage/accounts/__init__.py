"""Accounts, their names and plans, and API keys."""
