"""Ingesting usage, listing events, quarantine, and assigning usage of undeclared accounts."""
