"""Routes for accounts, plans and API keys."""
