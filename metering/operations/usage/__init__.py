"""Taking usage in: reading logs, counting each event once, storing it, quarantine, unassigned usage."""
