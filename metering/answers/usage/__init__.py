"""Answers about ingested records, logged events, quarantine and unassigned usage."""
