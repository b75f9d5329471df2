"""Commands for ingesting logs, quarantine and unassigned usage."""
