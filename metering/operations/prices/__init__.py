"""Price tables, syncs, discounts and model names."""
