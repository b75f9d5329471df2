"""Usage events: what a request used, its identity, its series, and what becomes of each record that is handed in."""
