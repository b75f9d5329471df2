"""Routes for events, quarantine and unassigned usage."""
