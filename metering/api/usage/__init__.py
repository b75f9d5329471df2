"""Routes for events, quarantine and usage of undeclared accounts."""
