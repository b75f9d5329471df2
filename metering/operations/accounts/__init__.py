"""Accounts, their plans, and API keys."""
