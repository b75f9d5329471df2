"""Plans of an account over time, and API keys."""
