"""Closed statements, and how far each account's months are closed."""
