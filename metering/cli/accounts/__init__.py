"""Commands for accounts and API keys."""
