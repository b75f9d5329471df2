"""Upkeep of the database: retiring months of events."""
