"""Routes for prices: tables, history, diffs, syncs, imports."""
