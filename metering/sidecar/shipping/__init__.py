"""Stores what is in the journal of a sidecar: in the database, or with the API of another service. A separate process."""
