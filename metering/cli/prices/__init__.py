"""Commands for prices: tables, history, diffs, syncs, imports, discounts."""
