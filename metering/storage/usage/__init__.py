"""Events, identities, series, copies, conflicts, quarantine, and the event log read back."""
