"""Queries about events, identities, series, copies, conflicts, quarantine and unassigned usage, and the event log."""
