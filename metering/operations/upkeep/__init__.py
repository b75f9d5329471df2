"""Upkeep: verify the database, retire months of events, upgrade the schema, report health."""
