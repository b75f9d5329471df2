"""Usage events: identity, series, charges, the outcome of each record, quarantine, unassigned usage, retention."""
